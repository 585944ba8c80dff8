"""The same numbers again: on one machine, the same configuration gives the same bits."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def deterministic_algorithms(enabled: bool, threads: int) -> Iterator[None]:
    """Let PyTorch use only algorithms that repeat their bits; with `enabled` False do nothing.

    Within, an operation that has no such algorithm raises RuntimeError.

    Args:
        enabled: whether to.
        threads: to compute with: sums that PyTorch splits over threads may round by their number.
    """
    if not enabled:
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.backends.cudnn.deterministic,
        torch.backends.cudnn.benchmark,
        torch.get_num_threads(),
    )
    _set(True, False, True, False, threads)
    try:
        yield
    finally:
        _set(*before)


def _set(algorithms: bool, warn_only: bool, cudnn: bool, benchmark: bool, threads: int) -> None:
    torch.use_deterministic_algorithms(algorithms, warn_only=warn_only)
    torch.backends.cudnn.deterministic = cudnn
    torch.backends.cudnn.benchmark = benchmark
    torch.set_num_threads(threads)
