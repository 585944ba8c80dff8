from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest
from matplotlib.figure import Figure
from written_runs import written_results

from mtl_cuda.cli import experiment, main
from mtl_cuda.commands import experiment as command
from mtl_cuda.commands.experiment import run_experiment
from mtl_cuda.engine.config import TrainConfig, to_yaml
from mtl_cuda.experiments import EXPERIMENTS, sweep
from mtl_cuda.experiments.runner import Conclusion

Tiny = Callable[..., TrainConfig]


@pytest.fixture
def config(tiny: Tiny, tmp_path: Path) -> Path:
    file = tmp_path / "config.yaml"
    file.write_text(to_yaml(tiny(steps=2)))
    return file


def test_the_arguments_know_every_experiment(capsys: pytest.CaptureFixture[str]) -> None:
    for name in EXPERIMENTS:
        assert name in experiment.HELP
        assert main(["experiment", name]) == 2  # needs --config, --out
        assert "--config, --out" in capsys.readouterr().err
    assert main(["experiment", "table2", "--config", "a", "--out", "b"]) == 2
    assert "table2" in capsys.readouterr().err


def test_an_experiment_ends_in_a_page_a_table_and_a_figure(
    config: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sweep, "SHARES", (0.1, 0.9))
    out = tmp_path / "out"
    arguments = ["experiment", "sweep", "--config", str(config), "--out", str(out), "--seeds", "1"]
    assert (
        main(
            [
                *arguments,
                "--run.steps",
                "3",
                "--run.eval_every",
                "null",
                "--loss.tasks",
                "[instance, depth]",
            ]
        )
        == 0
    )
    printed = capsys.readouterr().out
    assert "stage 2 of 2: 2 runs, 0 of them finished before" in printed
    page = (out / "sweep.md").read_text()
    assert "5 finished runs of 5 variants." in page
    assert "Learned σ is better than the best fixed weights, as in the paper: undecided" in page
    assert "![Fixed weights for two tasks, and what is learned](sweep.png)" in page
    assert "steps: 3" in page
    assert (out / "sweep.csv").read_text().count("\n") == 6
    assert (out / "sweep.png").stat().st_size > 10_000
    assert (out / "sweep.svg").exists()
    assert len(list((out / "runs").glob("share-*/seed0/last.pt"))) == 2


def test_the_numbers_are_written_before_the_figure(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def savefig(_: Figure, file: IO[bytes], format: str, **__: object) -> None:
        file.write(b"half a picture")
        if format == "png":
            raise OSError("no room")

    config = tiny(eval_every=None)
    results = written_results(config, tmp_path, {"softmax-gaussian": {"semantic/miou": [0.25]}})
    monkeypatch.setattr(Figure, "savefig", savefig)
    monkeypatch.setattr(command, "run_stages", lambda *_, **__: Conclusion(results))
    (tmp_path / "likelihoods.png").write_bytes(b"an older picture")
    with pytest.raises(OSError, match="no room"):
        run_experiment("likelihoods", config, tmp_path)
    assert "25.0" in (tmp_path / "likelihoods.md").read_text()
    assert "25" in (tmp_path / "likelihoods.csv").read_text()
    assert (tmp_path / "likelihoods.png").read_bytes() == b"an older picture"
    assert not (tmp_path / "likelihoods.svg").exists()


def test_failed_runs_give_exit_code_2(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["experiment", "sigma", "--config", str(config), "--out", str(tmp_path / "out")]
    assert main([*arguments, "--data.root", str(tmp_path / "nowhere")]) == 2
    assert capsys.readouterr().out.count("\nFAILED lr") == 16
    assert main([*arguments, "--data.rot", "x"]) == 2
    assert "data.rot" in capsys.readouterr().err
    assert main([*arguments, "--seeds", "0"]) == 2
    assert "seeds, jobs: expected at least 1 each, got 0 and 1" in capsys.readouterr().err
