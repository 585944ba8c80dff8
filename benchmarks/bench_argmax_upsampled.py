"""Classes from low-resolution logits against interpolation followed by argmax: time and memory.

    python benchmarks/bench_argmax_upsampled.py [--size 512 1024] [--ratio 8] [--json FILE]

PyTorch's candidates write the interpolated logits, eager or compiled; the op does not.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import common
import torch
import torch.nn.functional as F
from torch import Tensor

from mtl_cuda.functional import argmax_upsampled


def interpolated_classes(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Classes as one writes it in PyTorch."""
    return F.interpolate(logits, size, mode="bilinear").argmax(dim=1)


def interpolated_maximum(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """The same by max, which is faster on the CPU."""
    return F.interpolate(logits, size, mode="bilinear").max(dim=1).indices


def interpolated_probability(logits: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The probability of the most likely class, and the class."""
    probability, classes = F.interpolate(logits, size, mode="bilinear").softmax(dim=1).max(dim=1)
    return probability, classes


def candidates(
    logits: Tensor, size: tuple[int, int], compiled: bool
) -> dict[str, Callable[[], object]]:
    """Name -> call; the name says what it returns."""
    named: dict[str, Callable[[], object]] = {
        "class, uint8": lambda: argmax_upsampled(logits, size),
        "class, int64": lambda: argmax_upsampled(logits, size, dtype=torch.int64),
        "class, align_corners": lambda: argmax_upsampled(logits, size, align_corners=True),
        "class, probability": lambda: argmax_upsampled(logits, size, probability=True),
        "class, probability, entropy": lambda: argmax_upsampled(
            logits, size, probability=True, entropy=True
        ),
        "PyTorch: class": lambda: interpolated_classes(logits, size),
        "PyTorch: class, by max": lambda: interpolated_maximum(logits, size),
        "PyTorch: class, probability": lambda: interpolated_probability(logits, size),
    }
    if compiled:
        classes = torch.compile(interpolated_classes, dynamic=False)
        probability = torch.compile(interpolated_probability, dynamic=False)
        named["compiled: class"] = lambda: classes(logits, size)
        named["compiled: class, probability"] = lambda: probability(logits, size)
    return named


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, nargs=2, default=(512, 1024))
    parser.add_argument("--ratio", type=int, default=8)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--classes", type=int, default=19)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--json", help="write the results to this file")
    options = parser.parse_args()
    torch.manual_seed(0)
    height, width = options.size
    logits = torch.randn(
        options.batch, options.classes, height // options.ratio, width // options.ratio
    ).to(getattr(torch, options.dtype))
    named = candidates(logits, (height, width), not options.no_compile)
    timings = common.time_in_turn(named, options.rounds)
    memory = {name: common.peak_extra_bytes(call) for name, call in named.items()}
    print(f"{list(logits.shape)} -> {height} x {width}, {options.dtype}")
    for name, timing in timings.items():
        print(f"{name:30s} {timing}  peak +{memory[name] / 2**20:.0f} MiB")
    if options.json:
        seconds = {name: vars(timing) for name, timing in timings.items()}
        common.write_results(
            options.json, {"case": vars(options), "seconds": seconds, "peak_extra_bytes": memory}
        )


if __name__ == "__main__":
    main()
