from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mtl_cuda.cli import experiment, main
from mtl_cuda.engine.config import TrainConfig, to_yaml
from mtl_cuda.experiments import EXPERIMENTS, sweep

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
