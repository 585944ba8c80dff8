from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mtl_cuda.cli import main
from mtl_cuda.commands import demo
from mtl_cuda.commands.train import run_training
from mtl_cuda.data import read_image, read_png
from mtl_cuda.engine.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from mtl_cuda.engine.config import TrainConfig, to_yaml
from mtl_cuda.engine.learner import Learner
from mtl_cuda.engine.segments import InstanceConfig
from mtl_cuda.engine.train import Trainer
from mtl_cuda.inference.restore import restore


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tests of this module write."""
    return tmp_path_factory.mktemp("commands")


@pytest.fixture
def trained(tiny: Callable[..., TrainConfig], folder: Path) -> Path:
    """The folder of a short run that `mtl-cuda train` made; made once."""
    out = folder / "run"
    if not out.exists():
        file = folder / "config.yaml"
        file.write_text(to_yaml(tiny(out=str(out))))
        assert main(["train", "--config", str(file), "--run.seed", "3"]) == 0
    return out


def test_train_leaves_a_report(trained: Path, scenes: Path) -> None:
    report = (trained / "report.html").read_text()
    for words in ("Inverse depth", "Confusion", "taken for", "Time waiting for data"):
        assert words in report
    assert len(list((trained / "panels").glob("*.png"))) == 1
    assert load_checkpoint(trained / "last.pt")["config"]["run"]["seed"] == 3


def test_a_stopped_run_has_a_report_of_its_curves(
    tiny: Callable[..., TrainConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    learn = Learner.learn

    def stop_after_two(self: Learner, *args: object) -> dict[str, float]:
        if args[1] == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return learn(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Learner, "learn", stop_after_two)
    config = tiny(steps=9)
    assert run_training(config) == 128 + signal.SIGTERM
    report = (Path(config.run.out) / "report.html").read_text()
    assert "Stopped by SIGTERM" in report
    for words in ("Raw loss, depth", "Mean IoU", "Confusion"):  # of the evaluation at step 2
        assert words in report
    assert "<img" not in report


def test_evaluate_repeats_the_metrics_of_the_training(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = load_checkpoint(trained / "last.pt")["metrics"]
    capsys.readouterr()
    assert main(["evaluate", str(trained / "last.pt"), "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    assert f"{100 * metrics['semantic/miou']:.4g}" in printed
    assert f"{metrics['instance/mean_error']:.4g}" in printed


def test_evaluate_writes_a_table_and_results_at_the_size_of_the_files(
    tiny: Callable[..., TrainConfig], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny(steps=2, seed=3)
    config.data = replace(config.data, size=(16, 32))  # half of the files
    trainer = Trainer(config)
    trainer.fit()
    out, table = tmp_path / "results", tmp_path / "tables" / "metrics.json"
    arguments = ["evaluate", str(trainer.out / "last.pt"), "--device", "cpu"]
    arguments += ["--export", str(out), "--json", str(table), "--min-pixels", "4"]
    capsys.readouterr()
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    content = json.loads(table.read_text())
    assert (content["step"], content["scenes"], content["split"]) == (2, 3, "val")
    metrics = content["metrics"]
    assert f"{100 * metrics['panoptic/pq']:.4g}" in printed
    assert metrics["instances/ap/train"] is None
    assert content["constant"]["semantic/miou"] > 0
    names = {path.name.removesuffix("_labelIds.png") for path in out.glob("pixel/*")}
    assert names == {f"synth_{index:06d}_000000" for index in range(3)}
    for name in names:
        assert read_png(out / "pixel" / f"{name}_labelIds.png").shape == (32, 64)
        assert (out / "instance" / f"{name}.txt").is_file()
        assert (out / "panoptic/cityscapes_panoptic_val" / f"{name}_panoptic.png").is_file()
    assert main(arguments) == 2  # the folder is there
    assert "choose another folder" in capsys.readouterr().err


def test_numbers_do_not_depend_on_the_export(trained: Path, tmp_path: Path) -> None:
    tables = [tmp_path / "plain.json", tmp_path / "export.json"]
    arguments = ["evaluate", str(trained / "last.pt"), "--device", "cpu", "--json"]
    assert main([*arguments, str(tables[0])]) == 0
    assert main([*arguments, str(tables[1]), "--export", str(tmp_path / "out")]) == 0
    plain, export = (json.loads(table.read_text()) for table in tables)
    for part in ("metrics", "constant"):
        for key, value in plain[part].items():
            assert export[part][key] == (value and pytest.approx(value, rel=1e-3)), key


def test_a_checkpoint_without_options_for_instances(trained: Path, tmp_path: Path) -> None:
    state = load_checkpoint(trained / "last.pt")
    del state["config"]["instances"]
    save_checkpoint(tmp_path / "old.pt", state)
    assert restore(tmp_path / "old.pt", torch.device("cpu")).instances == InstanceConfig()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [(["--eps", "0"], "instances.eps"), (["--min-samples", "0"], "min_samples")],
)
def test_impossible_options_for_instances(
    trained: Path, arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(trained / "last.pt"), "--device", "cpu", *arguments]) == 2
    assert named in capsys.readouterr().err


def test_predict_writes_panels_and_classes(trained: Path, scenes: Path, tmp_path: Path) -> None:
    images = scenes / "leftImg8bit" / "val" / "synth"
    out = tmp_path / "predictions"
    arguments = ["predict", str(trained / "best.pt"), str(images), "--out", str(out)]
    assert main([*arguments, "--device", "cpu", "--size", "16x32"]) == 0
    names = {path.name for path in out.iterdir()}
    stems = [path.stem for path in images.iterdir()]
    maps = ("classes.png", "instances.png", "instances.json")
    kinds = ("panel.png", *maps, "depth.png", "depth.npy", "depth.json")
    assert names == {f"{stem}_{kind}" for stem in stems for kind in kinds}
    classes = read_png(out / f"{stems[0]}_classes.png")
    assert classes.shape == (32, 64)
    assert set(np.unique(classes)) <= set(range(7, 34))
    assert read_image(out / f"{stems[0]}_panel.png").shape[1] > 64


def test_restored_network_predicts_the_same(tiny: Callable[..., TrainConfig]) -> None:
    trainer = Trainer(tiny(steps=1))
    trainer.fit()
    restored = restore(trainer.out / "last.pt", torch.device("cpu"))
    image = torch.randn(1, 3, 32, 64)
    expected = trainer.network.eval()(image)
    for task, prediction in restored.network(image).items():
        torch.testing.assert_close(prediction, expected[task])
    assert (restored.step, restored.tasks) == (1, ("semantic", "instance", "depth"))


def test_a_checkpoint_that_does_not_fit(trained: Path, tmp_path: Path) -> None:
    state = load_checkpoint(trained / "last.pt")
    state["model"]["another"] = torch.zeros(1)
    save_checkpoint(tmp_path / "odd.pt", state)
    with pytest.raises(CheckpointError, match=r"odd\.pt.*another") as error:
        restore(tmp_path / "odd.pt", torch.device("cpu"))
    assert "\n" not in str(error.value)


def test_a_damaged_image_ends_in_one_line(
    scenes: Path,
    tmp_path: Path,
    tiny: Callable[..., TrainConfig],
    capsys: pytest.CaptureFixture[str],
) -> None:
    import shutil

    shutil.copytree(scenes, tmp_path / "copy")
    for image in (tmp_path / "copy" / "leftImg8bit" / "train" / "synth").iterdir():
        image.write_bytes(image.read_bytes()[:100])
    config = tiny(out=str(tmp_path / "out"))
    config.data = replace(config.data, root=str(tmp_path / "copy"), workers=1)
    (tmp_path / "config.yaml").write_text(to_yaml(config))
    assert main(["train", "--config", str(tmp_path / "config.yaml")]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "synth_000000_000000_leftImg8bit.png" in message


def test_demo_runs_and_runs_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "_TRAINING_SCENES", 4)
    monkeypatch.setattr(demo, "_VALIDATION_SCENES", 2)
    monkeypatch.setattr(demo, "_SIZE", (32, 64))
    for seed in (0, 1):
        arguments = ["demo", "--out", str(tmp_path / "demo"), "--minutes", "0.02"]
        assert main([*arguments, "--seed", str(seed)]) == 0
        state = load_checkpoint(tmp_path / "demo" / "run" / "last.pt")
        assert state["config"]["run"]["seed"] == seed
        assert state["step"] >= 13
        assert "Demo" in (tmp_path / "demo" / "run" / "report.html").read_text()


def test_demo_leaves_other_folders_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "scenes").mkdir()
    (tmp_path / "scenes" / "mine.txt").touch()
    assert main(["demo", "--out", str(tmp_path)]) == 2
    assert "scenes" in capsys.readouterr().err
    assert (tmp_path / "scenes" / "mine.txt").exists()
