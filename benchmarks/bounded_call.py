"""A call in a process of its own, with bounds on time and memory: rivals may need hours of both."""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

import common

MEMORY_LIMIT = 8 << 30  # address space beyond what the process has when the call begins


def first_call(
    prepare: Callable[..., Callable[[], object]], arguments: tuple[object, ...], limit: float
) -> tuple[float, int] | str:
    """Seconds and peak extra bytes of ``prepare(*arguments)()``, or why there are none.

    ``prepare`` must be a function of a module. What it does itself is neither timed nor bounded.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=_serve, args=(there, prepare, arguments))
    child.start()
    there.close()
    try:
        here.recv()  # prepared
        return here.recv() if here.poll(limit) else f"over {limit:g} s"
    except EOFError:
        return "killed"
    finally:
        child.kill()
        child.join()


def _serve(
    answer: Connection,
    prepare: Callable[..., Callable[[], object]],
    arguments: tuple[object, ...],
) -> None:
    call = prepare(*arguments)
    used = common.status_bytes("VmSize")
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_LIMIT,) * 2)
    answer.send("prepared")
    begin = time.perf_counter()
    try:
        extra = common.peak_extra_bytes(call)
    except (MemoryError, RuntimeError) as error:
        out_of_memory = isinstance(error, MemoryError) or "memory" in str(error)
        answer.send(f"over {MEMORY_LIMIT >> 30} GiB" if out_of_memory else f"failed: {error}")
        return
    answer.send((time.perf_counter() - begin, extra))
