"""The same work on many files, in processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")
_LARGEST_CHUNK = 16


def map_jobs(
    function: Callable[[Job], Result], jobs: Sequence[Job], workers: int
) -> Iterator[Result]:
    """Do the jobs, here or in processes of their own; yields results as they come, in order.

    Args:
        function: defined at the top of a module, so that processes can import it.
        jobs: its arguments.
        workers: processes; up to 1 = this one. More are started afresh ("spawn"), so a script
            that asks for them needs the usual `if __name__ == "__main__":`.
    """
    workers = min(workers, len(jobs))
    if workers <= 1:
        yield from map(function, jobs)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, initializer=end_with_the_parent)
    try:
        chunk = min(max(len(jobs) // (8 * workers), 1), _LARGEST_CHUNK)
        yield from pool.map(function, jobs, chunksize=chunk)
    finally:
        # After an error or Ctrl-C, what has not begun is dropped.
        pool.shutdown(cancel_futures=True)


def end_with_the_parent() -> None:
    """Let this process get SIGTERM where its parent was killed, and could not end it itself.

    It would wait for jobs for ever.
    """
    threading.Thread(target=_wait_for_the_parent, daemon=True).start()


def _wait_for_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
