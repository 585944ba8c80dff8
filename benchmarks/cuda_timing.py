"""Measuring a loss on a CUDA device: events on its stream, the host's own time, peak memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import common
import torch
from torch import Tensor

PARTS = ("forward", "backward", "both")
Loss = Callable[[], Tensor]


def copy_bandwidth(rounds: int = 20, size: int = 2**30) -> float:
    """Bytes per second, read and written, of a copy within the device's memory."""
    source = torch.zeros(size, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    times = []
    for turn in range(rounds + 3):
        begin, end = _events(2)
        begin.record()
        target.copy_(source)
        end.record()
        if turn >= 3:
            times.append((begin, end))
    torch.cuda.synchronize()
    median = common.summary([begin.elapsed_time(end) / 1e3 for begin, end in times]).median
    return 2 * size / median


def _events(count: int) -> list[torch.cuda.Event]:
    return [torch.cuda.Event(enable_timing=True) for _ in range(count)]


def device_times(
    losses: Mapping[str, Loss],
    leaves: Mapping[str, Sequence[Tensor]],
    rounds: int,
    warm_up: int = 3,
) -> dict[str, dict[str, common.Timing]]:
    """Seconds of forward, backward and both, measured in the same calls, in turn."""
    taken: dict[str, list[list[torch.cuda.Event]]] = {name: [] for name in losses}
    for turn in range(warm_up + rounds):
        for name, loss in losses.items():
            begin, middle, end = _events(3)
            begin.record()
            total = loss()
            middle.record()
            torch.autograd.grad(total, leaves[name])
            end.record()
            if turn >= warm_up:
                taken[name].append([begin, middle, end])
    torch.cuda.synchronize()
    return {
        name: {
            "forward": common.summary([b.elapsed_time(m) / 1e3 for b, m, _ in events]),
            "backward": common.summary([m.elapsed_time(e) / 1e3 for _, m, e in events]),
            "both": common.summary([b.elapsed_time(e) / 1e3 for b, _, e in events]),
        }
        for name, events in taken.items()
    }


def host_times(loss: Loss, leaves: Sequence[Tensor], rounds: int = 30) -> tuple[float, float]:
    """Median seconds that the host needs to issue a forward and a backward pass."""
    forward, backward = [], []
    for _ in range(rounds):
        torch.cuda.synchronize()
        begin = time.perf_counter()
        total = loss()
        middle = time.perf_counter()
        torch.autograd.grad(total, leaves)
        end = time.perf_counter()
        forward.append(middle - begin)
        backward.append(end - middle)
    return common.summary(forward).median, common.summary(backward).median


def peak_bytes(loss: Loss, leaves: Sequence[Tensor]) -> int:
    """Largest growth of the allocated device memory over a forward and backward pass."""
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    gradients = torch.autograd.grad(loss(), leaves)
    torch.cuda.synchronize()
    del gradients
    return torch.cuda.max_memory_allocated() - before


def measure(
    losses: Mapping[str, Loss],
    leaves: Mapping[str, Sequence[Tensor]],
    declared_bytes: Mapping[str, int],
    rounds: int,
) -> tuple[list[dict[str, Any]], float]:
    """A row of numbers per loss, and the copy bandwidth; a loss that fails is named with its error.

    ``declared_bytes``: what a forward and backward pass has to move, for the losses that are held
    against the copy bandwidth.
    """
    rows: dict[str, dict[str, Any]] = {name: {"name": name} for name in losses}
    working = dict(losses)
    for name, loss in losses.items():
        try:
            total = loss()
            torch.autograd.grad(total, leaves[name])
            rows[name]["total"] = total.item()
        except Exception as error:  # a compiler that does not run here must not end the others
            rows[name]["error"] = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            del working[name]
    bandwidth = copy_bandwidth()
    timings = device_times(working, leaves, rounds)
    for name, loss in working.items():
        row = rows[name]
        row.update({part: asdict(timings[name][part]) for part in PARTS})
        host = host_times(loss, leaves[name])
        row["host_forward_us"], row["host_backward_us"] = (seconds * 1e6 for seconds in host)
        row["peak_bytes"] = peak_bytes(loss, leaves[name])
        if name in declared_bytes:
            rate = declared_bytes[name] / timings[name]["both"].median
            row["declared_bytes"] = declared_bytes[name]
            row["gb_per_s"], row["share_of_copy"] = rate / 1e9, rate / bandwidth
    return list(rows.values()), bandwidth
