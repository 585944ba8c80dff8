"""Runs in parallel: processes that train one run after the other, and outlive what a run breaks."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from types import TracebackType

from mtl_cuda.data.parallel import end_with_the_parent
from mtl_cuda.engine.config import TrainConfig
from mtl_cuda.engine.signals import StopRequest
from mtl_cuda.experiments.plan import Run

LOG = "log.txt"
"""Name of the file in a run's folder with everything that its training printed."""
_REPEAT_STOP = 1.0  # seconds
_PATIENCE = 10.0  # seconds that a process has to end


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        run: that one.
        error: one line; None where it reached its last step or was stopped.
        seconds: that it took.
        stopped: by a signal.
    """

    run: Run
    error: str | None
    seconds: float
    stopped: bool = False


class RunPool:
    """Context of processes that share the cores.

    Each is started when it is first needed, and again where a run has ended it; it is no part of
    the terminal's process group, so that Ctrl-C reaches this process alone, which then asks the
    others to stop.

    Args:
        jobs: how many runs at a time.
        threads: of each.

    Raises:
        ValueError: fewer than one of either.
    """

    def __init__(self, jobs: int, threads: int) -> None:
        if jobs < 1 or threads < 1:
            raise ValueError(f"jobs, threads: expected at least 1 each, got {jobs}, {threads}")
        self._workers = [_Worker(threads) for _ in range(jobs)]
        self.stopped_by: signal.Signals | None = None

    def __enter__(self) -> RunPool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for worker in self._workers:
            worker.close(kill=kind is not None)

    def processes(self) -> list[int]:
        """The ids of those that are running."""
        started = [worker.process_id() for worker in self._workers]
        return [number for number in started if number is not None]

    def train(self, runs: Sequence[Run], report: Callable[[Outcome], None]) -> list[Outcome]:
        """Train all runs; what one of them breaks is its own outcome.

        Ctrl-C and SIGTERM stop the runs in progress at their next step, with a checkpoint, and
        start no others; `stopped_by` says so afterwards.

        Args:
            runs: in the order in which they are started.
            report: called in this thread with every outcome as it comes.
        """
        waiting: queue.SimpleQueue[Run] = queue.SimpleQueue()
        for run in runs:
            waiting.put(run)
        ended: queue.SimpleQueue[Outcome | None] = queue.SimpleQueue()
        stopping = threading.Event()
        for worker in self._workers:
            arguments = (worker, waiting, ended, stopping)
            threading.Thread(target=_work, args=arguments, daemon=True).start()
        outcomes: list[Outcome] = []
        left = len(self._workers)
        with StopRequest() as stop:
            try:
                while left:
                    with suppress(queue.Empty):
                        outcome = ended.get(timeout=_REPEAT_STOP)
                        if outcome is None:
                            left -= 1
                        else:
                            outcomes.append(outcome)
                            report(outcome)
                    if stop.signal is not None:
                        self.stopped_by = stop.signal
                        stopping.set()
                        for worker in self._workers:  # again and again: it may have just started
                            worker.ask_to_stop()
            finally:
                stopping.set()  # whatever ended this: no thread may start another run
        return outcomes


def _work(
    worker: _Worker,
    waiting: queue.SimpleQueue[Run],
    ended: queue.SimpleQueue[Outcome | None],
    stopping: threading.Event,
) -> None:
    """Give a worker run after run; a None at the end."""
    with suppress(queue.Empty):
        while not stopping.is_set():
            run = waiting.get_nowait()
            start = time.monotonic()
            try:
                error, stopped = worker.train(run.config)
            except Exception as problem:  # no process could be started: the others must not wait
                error, stopped = f"{type(problem).__name__}: {problem}", False
            if stopping.is_set() and error is not None:
                error, stopped = None, True
            ended.put(Outcome(run, error, time.monotonic() - start, stopped))
    ended.put(None)


class _Worker:
    """One process, as the thread that gives it runs sees it."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._started: tuple[SpawnProcess, Connection] | None = None

    def train(self, config: TrainConfig) -> tuple[str | None, bool]:
        """Train a run; returns the error, or None, and whether a signal stopped it."""
        if self._started is None:
            self._started = self._start()
        process, connection = self._started
        try:
            connection.send(config)
            error, stopped = connection.recv()
        except (EOFError, OSError):
            self._started = None
            process.join(_PATIENCE)
            return f"its process ended with exit code {process.exitcode}", False
        return error, stopped

    def process_id(self) -> int | None:
        """None where no process is running."""
        return None if self._started is None else self._started[0].pid

    def ask_to_stop(self) -> None:
        """Let the run in progress finish its step; a process without a run ends."""
        started = self._started
        if started is not None:
            started[0].terminate()

    def close(self, kill: bool) -> None:
        """End the process, with `kill` in the middle of its run."""
        started, self._started = self._started, None
        if started is not None:
            process, connection = started
            if kill:
                process.kill()
            connection.close()  # a process that waits for a run sees it, and ends
            process.join(_PATIENCE)

    def _start(self) -> tuple[SpawnProcess, Connection]:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._threads))
        process.start()
        theirs.close()
        return process, ours


def _serve(connection: Connection, threads: int) -> None:
    """The process of a worker: train what comes through the pipe until it closes."""
    import torch

    if hasattr(os, "setsid"):
        os.setsid()
    end_with_the_parent()  # which lets the run in progress write a checkpoint
    torch.set_num_threads(threads)
    while True:
        try:
            config = connection.recv()
        except (EOFError, OSError):
            return
        outcome = train_run(config)
        with suppress(OSError):
            connection.send(outcome)


def train_run(config: TrainConfig) -> tuple[str | None, bool]:
    """Train a run in this process, its output to log.txt; returns error and whether it stopped."""
    from mtl_cuda.engine.train import Trainer

    folder = os.path.abspath(config.run.out)
    try:
        os.makedirs(folder, exist_ok=True)
        log = os.open(os.path.join(folder, LOG), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        return None, Trainer(config).fit().stopped_by is not None
    except Exception as error:  # whatever breaks one run must not break the others
        traceback.print_exc()
        return " ".join(f"{type(error).__name__}: {error}".split()), False
    finally:
        sys.stdout.flush()  # before the next run takes the place of this one's log
