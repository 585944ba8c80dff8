"""Processes that cannot start, reports that fail, and what runs print; none of them trains."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from engine_runs import clean_processes

from mtl_cuda.engine import train
from mtl_cuda.engine.config import TrainConfig
from mtl_cuda.experiments import pool as pool_module
from mtl_cuda.experiments.plan import Run, Variant, plan_runs
from mtl_cuda.experiments.pool import Outcome, RunPool, train_run

Tiny = Callable[..., TrainConfig]


def _runs(config: TrainConfig, out: Path, count: int = 3) -> list[Run]:
    return plan_runs(config, [Variant("a", "A")], count, out)


def test_processes_that_cannot_start_are_failures(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_: object) -> None:
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(pool_module._Worker, "_start", start)
    outcomes: list[Outcome] = []

    def train_all() -> None:
        with RunPool(2, 1) as pool:
            pool.train(_runs(tiny(), tmp_path), outcomes.append)

    thread = threading.Thread(target=train_all, daemon=True)  # which once waited for ever
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    assert [outcome.error for outcome in outcomes] == ["BlockingIOError: no more processes"] * 3


class _Process:
    """As a worker sees its process: every run takes a moment, and the end of the pool ends it."""

    pid, exitcode = 0, -9

    def __init__(self) -> None:
        self.killed = threading.Event()

    def kill(self) -> None:
        self.killed.set()

    def join(self, _: float) -> None:
        pass

    def send(self, _: object) -> None:
        pass

    def recv(self) -> tuple[None, bool]:
        if self.killed.wait(0.1):
            raise EOFError
        return None, False

    def close(self) -> None:
        pass


def test_a_report_that_fails_starts_no_other_run(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[_Process] = []

    def start(_: object) -> tuple[_Process, _Process]:
        started.append(_Process())
        return started[-1], started[-1]

    def report(_: Outcome) -> None:
        raise BrokenPipeError("nobody reads this")

    def train_all() -> None:
        with RunPool(1, 1) as pool:
            pool.train(_runs(tiny(), tmp_path, 9), report)

    monkeypatch.setattr(pool_module._Worker, "_start", start)
    with pytest.raises(BrokenPipeError):
        train_all()
    time.sleep(0.3)
    assert len(started) == 1


@dataclass
class _Trained:
    """In place of `Trainer`: its first line waits in a buffer of Python."""

    config: TrainConfig
    stopped_by = None

    def fit(self) -> _Trained:
        print("trained", self.config.run.out)
        return self


def _train_each(configs: list[TrainConfig], found: Any) -> None:
    train.Trainer = _Trained  # type: ignore[assignment, misc]
    found.put([train_run(config) for config in configs])


def test_every_run_has_its_own_log_and_a_folder_that_cannot_be_made_is_an_error(
    tiny: Tiny, tmp_path: Path
) -> None:
    runs = _runs(tiny(), tmp_path)
    runs[1].folder.parent.mkdir(parents=True)
    runs[1].folder.write_text("a file")
    found = clean_processes().SimpleQueue()
    process = clean_processes().Process(
        target=_train_each, args=([run.config for run in runs], found)
    )
    process.start()
    process.join(60)
    assert process.exitcode == 0
    first, second, third = found.get()
    assert first == third == (None, False)
    assert second[0].startswith("FileExistsError")
    for run in (runs[0], runs[2]):
        assert (run.folder / "log.txt").read_text().count("trained") == 1
