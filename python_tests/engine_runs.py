"""Whole training runs for tests: in processes that kill themselves, and compared bit for bit."""

from __future__ import annotations

import csv
import multiprocessing
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch

from mtl_cuda.engine import logging, signals
from mtl_cuda.engine.checkpoint import folder, load_checkpoint, save_checkpoint, sealed
from mtl_cuda.engine.checkpoint.folder import RunFolder
from mtl_cuda.engine.config import TrainConfig
from mtl_cuda.engine.train import Trainer

_CLOCK = {"seconds", "waited", "images_per_s", "data_wait"}
_ELSEWHERE = {"out", "resume", "workers", "save_every"}


def leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Numbers, strings and tensors of nested data with their places, but for clocks and folders."""
    if isinstance(value, dict):
        for key, part in value.items():
            if key not in _CLOCK | _ELSEWHERE:
                yield from leaves(part, f"{place}.{key}")
    elif isinstance(value, list | tuple):
        for index, part in enumerate(value):
            yield from leaves(part, f"{place}[{index}]")
    elif isinstance(value, torch.Tensor):
        yield place, (value.dtype, value.stride(), value.numpy().tobytes())
    else:
        yield place, repr(value)  # NaN is no longer equal to itself otherwise


def assert_same_run(one: Path, other: Path) -> None:
    """Last and best checkpoints and the rows of metrics.csv are the same, bit for bit."""
    for name in ("last.pt", "best.pt"):
        a, b = (dict(leaves(load_checkpoint(out / name))) for out in (one, other))
        assert a.keys() == b.keys()
        assert [place for place in a if a[place] != b[place]] == [], name
    assert rows(one) == rows(other)


def rows(out: Path) -> list[dict[str, str]]:
    """metrics.csv without what depends on the clock."""
    with open(out / "metrics.csv", newline="") as file:
        return [{k: v for k, v in row.items() if k not in _CLOCK} for row in csv.DictReader(file)]


class _Fuse:
    """Kills the process at the n-th event; counts only where n is 0."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.count = 0

    def hook(self, owner: Any, name: str) -> None:
        """Make every call of a function an event."""
        function = getattr(owner, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            self._burn()
            return function(*args, **kwargs)

        setattr(owner, name, counted)

    def hook_system_calls(self) -> None:
        """Those that saving makes; nothing is forced to the disk, which outlives a process."""
        os.fsync = lambda handle: None
        for name in ("fsync", "replace", "unlink"):
            self.hook(os, name)

    def _burn(self) -> None:
        self.count += 1
        if self.count == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


def train_until_killed(config: TrainConfig, fuse: _Fuse) -> None:
    """Train; events are steps, rows of the log, and system calls of saving."""
    torch.set_num_threads(1)
    fuse.hook(Trainer, "train_step")
    fuse.hook(logging.MetricsLog, "write")
    fuse.hook_system_calls()
    Trainer(config).fit()


def save_until_killed(path: Path, fuse: _Fuse) -> None:
    """Save versions 1, 2 and 3 of a run; events are every write and system call."""
    path.mkdir()
    fuse.hook(sealed._SealingFile, "write")
    fuse.hook_system_calls()
    for version in (1, 2, 3):
        folder.RunFolder(path).save(version_of_run(version), best=version == 2)


def save_with_little_room(path: Path, rooms: list[int], results: Any) -> None:
    """Save a checkpoint of 400 kB where files end at `room` bytes, as on a full disk."""
    torch.set_num_threads(1)
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    for room in rooms:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, most))
        try:
            save_checkpoint(path, {"weight": torch.zeros(100_000), "more": torch.zeros(9)})
            message = "written"
        except OSError as error:
            message = str(error)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        results.put((message, path.read_bytes(), [file.name for file in path.parent.iterdir()]))


def version_of_run(version: int) -> dict[str, Any]:
    """A small state whose parts all tell their version."""
    return {"step": version, "model": {str(i): torch.full((5,), version) for i in range(4)}}


def newest_version(path: Path) -> int:
    """The version that a run would go on from, all of it; 0 where there is none."""
    found = RunFolder(path).newest()
    if found is None:
        return 0
    version = int(found.state["step"])
    assert dict(leaves(found.state)) == dict(leaves(version_of_run(version)))
    return version


def kill_at_events(
    target: Callable[[Any, _Fuse], None], jobs: Sequence[tuple[Any, int]]
) -> list[int]:
    """Call `target(argument, fuse)` for each (argument, event), each in a process of its own.

    Returns:
        How many events there were where `event` is 0; else 0, and the process was killed.
    """
    context = clean_processes()
    results = context.SimpleQueue()
    process = context.Process(target=_fork_each, args=(target, jobs, results))
    process.start()
    counts = [results.get() for _ in jobs]
    process.join(60)
    return counts


def train_in_group(config: TrainConfig) -> None:
    """Train as the leader of a group of processes; the exit code is that of the run."""
    os.setsid()
    multiprocessing.set_start_method("fork", force=True)  # else its workers have another parent
    torch.set_num_threads(1)
    sys.exit(Trainer(config).fit().exit_code)


def fail_in_group(config: TrainConfig) -> None:
    """Train in a process of its own until the first step fails as only a defect does."""

    def defect(*_: object) -> None:
        raise AttributeError("a defect")

    Trainer.train_step = defect  # type: ignore[assignment, method-assign]
    train_in_group(config)


def stay_after_a_signal() -> None:
    """Live as a process that loads data does, and be told to end once."""
    signals._SECONDS_TO_STAY = 1
    signals.leave_signals_to_the_parent()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.2)  # which the signal may not end
    time.sleep(30)
    os._exit(1)


@contextmanager
def in_group(target: Callable[..., None], *args: Any) -> Iterator[BaseProcess]:
    """A process that calls `target`, and none of its group at the end."""
    process = clean_processes().Process(target=target, args=args)
    process.start()
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid or 0, signal.SIGKILL)


def clean_processes() -> ForkServerContext:
    """Processes that start without what tests did before."""
    context = multiprocessing.get_context("forkserver")
    # What a first training step imports takes longer than the step: it is imported once.
    context.set_forkserver_preload(["pytest", "torch._dynamo", "engine_runs"])
    return context


def _fork_each(
    target: Callable[[Any, _Fuse], None], jobs: Sequence[tuple[Any, int]], results: Any
) -> None:
    """From a process that has no thread yet, which forks in a few milliseconds."""
    for argument, event in jobs:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                fuse = _Fuse(event)
                target(argument, fuse)
                results.put(fuse.count)
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            results.put(0)
        elif status:
            results.put(-1)
