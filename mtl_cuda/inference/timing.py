"""Where the time of a prediction goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

STAGES = ("read", "prepare", "network", "upsample", "cluster", "write")


class StageTimer:
    """Sums up the seconds of each of `STAGES`.

    Args:
        device: work that was given to it counts for the stage that gave it, which waits for it;
            None measures nothing, and waits for nothing.
    """

    def __init__(self, device: torch.device | None = None) -> None:
        self._device = device
        self.seconds = dict.fromkeys(STAGES, 0.0)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what happens inside for the stage `name`."""
        if self._device is None:
            yield
            return
        start = time.perf_counter()
        yield
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        self.seconds[name] += time.perf_counter() - start

    def table(self, images: int) -> str:
        """Milliseconds an image, images a second and share of the time, by stage and together."""
        total = sum(self.seconds.values())
        rows = [*self.seconds.items(), ("together", total)]
        lines = [f"{'stage':<10}{'ms/image':>12}{'images/s':>12}{'share':>8}"]
        for name, seconds in rows:
            speed = f"{images / seconds:.1f}" if seconds else "-"
            share = f"{100 * seconds / total:.0f} %" if total else "-"
            lines.append(f"{name:<10}{1000 * seconds / max(1, images):>12.2f}{speed:>12}{share:>8}")
        return "\n".join(lines)
