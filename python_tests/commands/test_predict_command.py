"""`mtl-cuda predict` and `export` from end to end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mtl_cuda.cli import main
from mtl_cuda.data import read_image, write_png
from mtl_cuda.data.video import VideoReader, VideoWriter
from mtl_cuda.engine.config import TrainConfig
from mtl_cuda.engine.train import Trainer


@pytest.fixture
def model(tiny: Callable[..., TrainConfig]) -> Path:
    trainer = Trainer(tiny(steps=1))
    trainer.fit()
    return trainer.folder.last


def pictures(folder: Path, count: int) -> list[np.ndarray]:
    folder.mkdir()
    made = list(np.random.default_rng(0).integers(0, 256, (count, 32, 64, 3), np.uint8))
    for number, picture in enumerate(made):
        write_png(folder / f"p{number}.png", picture)
    return made


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_video_and_a_folder(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = pictures(tmp_path / "in", 3)
    with VideoWriter(tmp_path / "drive.mp4", 10) as video:
        for picture in made:
            video.write(picture)
    out = tmp_path / "out"
    inputs = [str(tmp_path / "in"), str(tmp_path / "drive.mp4")]
    given = ["--out", str(out), "--batch", "2", "--benchmark", "--write", "depth", "overlay"]
    assert main(["predict", str(model), *inputs, *given, "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    assert "3 images and 3 frames" in printed
    for stage in ("read", "prepare", "network", "upsample", "cluster", "write", "together"):
        assert stage in printed
    kinds = ("depth.json", "depth.npy", "depth.png", "overlay.png")
    expected = [f"p{number}_{kind}" for number in range(3) for kind in kinds]
    assert names(out) == sorted([*expected, "drive", "drive_overlay.mp4"])
    assert len(names(out / "drive")) == 9
    with VideoReader(out / "drive_overlay.mp4") as video:
        assert [frame.shape for frame in video] == [(32, 64, 3)] * 3
    assert read_image(out / "p0_overlay.png").shape == (32, 64, 3)


def test_a_damaged_image_is_told_after_the_others(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures(tmp_path / "in", 2)
    (tmp_path / "in" / "p0.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    given = ["--out", str(tmp_path / "out"), "--write", "classes"]
    assert main(["predict", str(model), str(tmp_path / "in"), *given]) == 2
    assert names(tmp_path / "out") == ["p1_classes.png"]
    assert "1 of 2 inputs" in (error := capsys.readouterr().err)
    assert "p0.png" in error


def test_an_unreadable_image_is_told_after_the_others(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first one is where the benchmark would take its first batch from."""
    pictures(tmp_path / "in", 2)
    (tmp_path / "in" / "p0.png").unlink()
    (tmp_path / "in" / "p0.png").symlink_to(tmp_path / "nowhere.png")
    given = ["--out", str(tmp_path / "out"), "--write", "classes", "--benchmark"]
    assert main(["predict", str(model), str(tmp_path / "in"), *given]) == 2
    assert names(tmp_path / "out") == ["p1_classes.png"]
    assert "1 of 2 inputs" in (error := capsys.readouterr().err)
    assert "p0.png" in error


def test_what_a_model_does_not_predict_is_refused(
    tiny: Callable[..., TrainConfig], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny(steps=1)
    config.loss.tasks = ("semantic",)
    trainer = Trainer(config)
    trainer.fit()
    pictures(tmp_path / "in", 1)
    given = ["--write", "depth", "--out", str(tmp_path / "out")]
    assert main(["predict", str(trainer.folder.last), str(tmp_path / "in"), *given]) == 2
    assert "--write depth: the model predicts semantic alone" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_export_and_predict_from_it(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures(tmp_path / "in", 1)
    assert main(["export", str(model), "--out", str(tmp_path / "exported")]) == 0
    assert "safetensors: " in capsys.readouterr().out
    assert names(tmp_path / "exported") == ["model.json", "model.safetensors"]
    for number, path in enumerate((model, tmp_path / "exported")):
        out = str(tmp_path / f"out{number}")
        assert main(["predict", str(path), str(tmp_path / "in"), "--out", out]) == 0
    for name in names(tmp_path / "out0"):
        assert (tmp_path / "out0" / name).read_bytes() == (tmp_path / "out1" / name).read_bytes()
