from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mtl_cuda import cli

COMMANDS = (
    "demo",
    "train",
    "experiment",
    "evaluate",
    "predict",
    "export",
    "synth",
    "prepare",
    "disparity",
    "info",
)


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for command in COMMANDS:
        assert f"\n    {command} " in text


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main([command, "--help"])
    assert stop.value.code == 0
    assert f"usage: mtl-cuda {command}" in capsys.readouterr().out


def test_help_of_train_documents_every_key(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["train", "--help"])
    text = capsys.readouterr().out
    for key in ("--data.root", "--model.output_scale", "--optim.log_variance_lr", "--run.minutes"):
        assert key in text
    assert "time constant" in text


def test_no_command_shows_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    assert "commands:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["paint"], "paint"),
        (["evaluate"], "checkpoint"),
        (["evaluate", "nowhere.pt"], "nowhere.pt"),
        (["predict", "nowhere.pt", "image.png"], "nowhere.pt"),
        (["predict", "a.pt", "b.png", "--size", "12"], "12"),
        (["synth"], "--out"),
        (["synth", "--out", "x", "--train", "many"], "many"),
        (["info", "--loud"], "--loud"),
        (["train"], "data.root"),
        (["train", "--config", "nowhere.yaml"], "nowhere.yaml"),
        (["train", "--data.root", "nowhere", "--data.size", "[8, 8]"], "nowhere"),
        (["train", "--data.root", "x", "--data.size", "[8, 8]", "--data.rot", "3"], "data.rot"),
        (["demo", "--minutes", "0"], "minutes"),
        (["evaluate", "nowhere.pt", "--device", "abacus"], "abacus"),
    ],
)
def test_mistakes_end_in_one_line_and_code_2(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("mtl-cuda: error: ")
    assert named in printed.err
    assert printed.err.count("\n") == 1


def test_traceback_on_demand(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MTL_CUDA_TRACEBACK", "1")
    assert cli.main(["evaluate", "nowhere.pt"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_bugs_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(arguments: list[str]) -> int:
        raise KeyError("a bug")

    monkeypatch.setattr(cli.program, "_run", broken)
    with pytest.raises(KeyError):
        cli.main([])


def test_interrupt_has_its_own_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(arguments: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.program, "_run", interrupted)
    assert cli.main([]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_threads_sleep_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    cli.main([])
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
    monkeypatch.delenv("OMP_WAIT_POLICY")
    cli.main([])
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"


def test_module_is_the_command() -> None:
    root = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-m", "mtl_cuda", "evaluate", "nowhere.pt"],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr == "mtl-cuda: error: nowhere.pt: no such checkpoint\n"
