from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_runs import (
    assert_same_run,
    fail_in_group,
    in_group,
    stay_after_a_signal,
    train_in_group,
)

from mtl_cuda.cli import main
from mtl_cuda.engine import train as train_module
from mtl_cuda.engine.checkpoint import load_checkpoint
from mtl_cuda.engine.config import TrainConfig, to_yaml
from mtl_cuda.engine.signals import Stopped, StopRequest
from mtl_cuda.engine.train import Trainer

Make = Callable[..., TrainConfig]


def kill_once(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, call: int, number: signal.Signals
) -> None:
    """Send a signal at the start of the n-th call of a function."""
    function, calls = getattr(owner, name), iter(range(1, 1000))

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == call:
            os.kill(os.getpid(), number)
        return function(*args, **kwargs)

    monkeypatch.setattr(owner, name, wrapped)


@pytest.fixture
def whole(tiny: Make, tmp_path: Path) -> Path:
    """The folder of a run that was never stopped."""
    out = tmp_path / "whole"
    Trainer(tiny(out=str(out), deterministic=True, steps=4)).fit()
    return out


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    ("owner", "name", "call", "stopped_at"),
    [
        (train_module, "evaluate_constant", 1, 0),  # before the first step
        (Trainer, "train_step", 1, 1),  # the first batch
        (Trainer, "train_step", 3, 3),
        (train_module, "measure", 1, 2),  # in the middle of a validation
        (train_module, "measure", 2, 4),  # of the last one
        (os, "fsync", 1, 2),  # while saving
    ],
    ids=["baseline", "first-batch", "step", "validation", "last-validation", "save"],
)
def test_a_signal_in_any_phase_loses_nothing(
    tiny: Make,
    tmp_path: Path,
    whole: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    owner: Any,
    name: str,
    call: int,
    stopped_at: int,
    number: signal.Signals,
) -> None:
    config = tiny(deterministic=True, steps=4, resume="auto")
    (tmp_path / "config.yaml").write_text(to_yaml(config))
    arguments = ["train", "--config", str(tmp_path / "config.yaml")]
    handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    with monkeypatch.context() as patch:
        kill_once(patch, owner, name, call, number)
        assert main(arguments) == 128 + number
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert load_checkpoint(tmp_path / "run" / "last.pt")["step"] == stopped_at
    printed = capsys.readouterr()
    assert f"stopped by {number.name} after {stopped_at} steps" in printed.out
    assert f"{number.name}: stopping after this step" in printed.err
    assert main(arguments) == 0
    assert f"going on from step {stopped_at} of 4" in capsys.readouterr().out
    assert_same_run(tmp_path / "run", whole)
    assert (tmp_path / "run" / "report.html").exists()


def test_a_second_interrupt_stops_at_once(tiny: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = Trainer(tiny(steps=4))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # may be ignored

    def stuck(batch: Any) -> dict[str, float]:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)  # schedulers repeat themselves
        time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(10)
        raise AssertionError

    monkeypatch.setattr(trainer, "train_step", stuck)
    try:
        with pytest.raises(KeyboardInterrupt):
            trainer.fit()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert not trainer.folder.last.exists()


def test_a_request_is_seen_between_items() -> None:
    def signalling() -> Iterator[int]:
        yield 1
        os.kill(os.getpid(), signal.SIGTERM)
        yield 2

    with StopRequest() as stop:
        items = stop.between(signalling())
        assert next(items) == 1
        with pytest.raises(Stopped):
            next(items)


def test_a_signal_to_all_processes_of_a_job(tiny: Make, tmp_path: Path) -> None:
    """As a scheduler sends it: the processes that load data must outlive it."""
    config = tiny(steps=100_000, eval_every=None, log_every=1)
    config.data.workers = 2
    with in_group(train_in_group, config) as process:
        deadline = time.monotonic() + 60
        log = tmp_path / "run" / "metrics.csv"
        while not log.exists() or log.read_bytes().count(b"\n") < 4:
            assert process.is_alive()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGTERM)
        process.join(30)
        assert process.exitcode == 143
    assert load_checkpoint(tmp_path / "run" / "last.pt")["step"] >= 3


def test_a_defect_leaves_no_process_behind(tiny: Make) -> None:
    """The main process waits for those that load data; they must not wait for it."""
    config = tiny()
    config.data.workers = 1
    with in_group(fail_in_group, config) as process:
        process.join(30)
        assert process.exitcode == 1


def test_a_process_that_loads_data_ends_soon_after_a_signal() -> None:
    start = time.monotonic()
    with in_group(stay_after_a_signal) as process:
        process.join(15)
        assert process.exitcode == 0
    assert time.monotonic() - start > 1
