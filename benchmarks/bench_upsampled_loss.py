"""The fused loss of low-resolution predictions against interpolating them first, in PyTorch.

    python benchmarks/bench_upsampled_loss.py [--sizes 256x512 512x1024] [--ratios 4 8]
    python benchmarks/bench_upsampled_loss.py --device cuda --batch 8 --sizes 1024x2048

Forward and backward of three tasks (loss_case.py): F.interpolate, cross-entropy and L1, eager and
compiled, against the op that interpolates where it needs a value. Memory is what a step takes
beyond its inputs, gradients of the predictions included. The largest batch that fits is measured on
a GPU, by trying; on the CPU it follows from what one more picture takes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import common
import cuda_timing
import torch
from loss_case import fused_loss, losses, make_case, pytorch_losses, stepped
from torch import Tensor

MODES = {"torch.compile": "default"}
AIMS = {"eager": 20, "torch.compile": 8}  # on a GPU, times as fast


def inputs(
    options: argparse.Namespace, size: tuple[int, int], ratio: int, batch: int
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Predictions and targets."""
    label_dtype = torch.uint8 if options.device == "cuda" else torch.int64
    dtype = getattr(torch, options.dtype)
    return make_case(batch, options.classes, size, dtype, options.device, label_dtype, ratio)


def all_losses(
    options: argparse.Namespace, predictions: dict[str, Tensor], targets: dict[str, Tensor]
) -> dict[str, Callable[[], Tensor]]:
    """By name."""
    return losses(predictions, targets, {} if options.no_compile else MODES)


def measure_cpu(
    options: argparse.Namespace, size: tuple[int, int], ratio: int
) -> list[dict[str, Any]]:
    """Time and memory of a step, and the batch that fits into the memory asked for."""
    predictions, targets = inputs(options, size, ratio, options.batch)
    named = all_losses(options, predictions, targets)
    steps = {name: stepped(loss, predictions) for name, loss in named.items()}
    totals = {name: step().item() for name, step in steps.items()}
    timings = common.time_in_turn(steps, options.rounds)
    rows = []
    for name, step in steps.items():
        memory = max(common.peak_extra_bytes(step) for _ in range(3))
        batch = int(options.memory * 2**30 // (memory / options.batch)) if memory else None
        rows.append(
            {"name": name, "both": vars(timings[name]), "peak_bytes": memory,
             "total": totals[name], "largest_batch": batch}
        )  # fmt: skip
    return rows


def fits(
    options: argparse.Namespace, size: tuple[int, int], ratio: int, batch: int, name: str
) -> bool:
    """Whether a step of this batch, inputs included, stays within the memory allowed."""
    torch.cuda.empty_cache()
    try:
        predictions, targets = inputs(options, size, ratio, batch)
        if name == "fused":
            loss = fused_loss(predictions, targets)
        else:
            loss = pytorch_losses(predictions, targets, MODES)[name]
        stepped(loss, predictions)()
        torch.cuda.synchronize()
    except torch.cuda.OutOfMemoryError:
        return False
    return True


def measure_cuda(
    options: argparse.Namespace, size: tuple[int, int], ratio: int
) -> list[dict[str, Any]]:
    """As `measure_cpu`, with device times; batches are tried within the memory asked for."""
    predictions, targets = inputs(options, size, ratio, options.batch)
    named = all_losses(options, predictions, targets)
    leaves = {name: list(predictions.values()) for name in named}
    rows, _ = cuda_timing.measure(named, leaves, {}, options.rounds)
    del predictions, targets, named, leaves
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, options.memory * 2**30 / total))
    for row in rows:
        batch = 0
        while batch < 1024 and fits(options, size, ratio, max(1, 2 * batch), row["name"]):
            batch = max(1, 2 * batch)
        row["largest_batch"] = batch
    torch.cuda.set_per_process_memory_fraction(1.0)
    return rows


def report(title: str, rows: list[dict[str, Any]], upsampled_bytes: int, memory: float) -> None:
    """Prints one case."""
    print(title)
    fused = next(row for row in rows if row["name"] == "fused")
    for row in rows:
        if "error" in row:
            print(f"  {row['name']:14s} {row['error']}")
            continue
        time = row["both"]
        ratio = time["median"] / fused["both"]["median"]
        share = row["peak_bytes"] / upsampled_bytes
        print(
            f"  {row['name']:14s} {time['median'] * 1e3:8.2f} ms "
            f"[{time['p20'] * 1e3:.2f}, {time['p80'] * 1e3:.2f}]  {ratio:6.2f} x fused  "
            f"memory {row['peak_bytes'] / 2**20:7.1f} MiB, {share:7.1%} of the upsampled logits; "
            f"largest batch in {memory:g} GiB: {row['largest_batch']}"
        )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--sizes", nargs="+", default=["256x512", "512x1024"])
    parser.add_argument("--ratios", nargs="+", type=int, default=[4, 8])
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--classes", type=int, default=19)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--memory", type=float, default=8.0, help="GiB, for the largest batch")
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--json", help="write the results to this file")
    options = parser.parse_args()
    measure = measure_cuda if options.device == "cuda" else measure_cpu
    cases = []
    for text in options.sizes:
        height, width = (int(number) for number in text.split("x"))
        for ratio in options.ratios:
            rows = measure(options, (height, width), ratio)
            element = torch.empty((), dtype=getattr(torch, options.dtype)).element_size()
            upsampled = options.batch * options.classes * height * width * element
            title = f"B={options.batch} C={options.classes} {text} from 1/{ratio} {options.dtype}"
            report(title, rows, upsampled, options.memory)
            note = f"The upsampled logits would be {upsampled / 2**20:.0f} MiB."
            case = {"title": title, "note": note, "rows": rows, "aims": AIMS}
            cases.append({**case, "memory_aim_bytes": 0.03 * upsampled})
    if options.json:
        common.write_results(options.json, {"options": vars(options), "cases": cases})


if __name__ == "__main__":
    main()
