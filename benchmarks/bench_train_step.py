"""A whole training step, network and loss: its time, its memory, and the largest batch that fits.

    python benchmarks/bench_train_step.py [--networks resnet18 resnet50] [--crops 128x256]
    python benchmarks/bench_train_step.py --device cuda --networks resnet101 --crops 512x512 \\
        --batch 16 --memory 80

Forward, loss and backward, without the optimizer, with the predictions
  fused, low resolution   given to the op as they are
  fused, interpolated     interpolated first, as a loss at full resolution needs
  eager                   interpolated first, loss in PyTorch
Memory is what a step takes beyond weights, images and targets, gradients of the weights included.
On a GPU the largest batch is found by trying; on the CPU it follows from this batch and one four
times as large, since memory grows by the same amount with every picture.
"""

from __future__ import annotations

import argparse
import gc
from collections.abc import Callable
from typing import Any

import common
import torch
from torch import Tensor
from train_step_case import LOSSES, make_network, make_steps

from mtl_cuda.models import MultiTaskDeepLabV3

_MORE = 4  # times the batch, to see by how much memory grows


def synchronised(step: Callable[[], Tensor], device: str) -> Callable[[], Tensor]:
    """The step, and the wait for its end."""

    def run() -> Tensor:
        total = step()
        if device == "cuda":
            torch.cuda.synchronize()
        return total

    return run


def peak_bytes(step: Callable[[], Tensor], device: str) -> int:
    """Memory that a step takes beyond what is there before it."""
    if device == "cpu":
        return max(common.peak_extra_bytes(step) for _ in range(2))
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    step()
    return torch.cuda.max_memory_allocated() - before


def batch_by_growth(peak: int, of_more: int, batch: int, memory: float) -> int:
    """The batch that fits into `memory` bytes: `batch` takes `peak`, `_MORE` times it the other."""
    growth = max((of_more - peak) / ((_MORE - 1) * batch), 1.0)
    return batch + int((memory - peak) // growth)


def batch_by_trying(
    network: MultiTaskDeepLabV3, size: tuple[int, int], name: str, memory: float
) -> int:
    """The largest batch whose step, weights and inputs included, stays within `memory` bytes."""
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, memory / total))

    def fits(batch: int) -> bool:
        gc.collect()
        torch.cuda.empty_cache()
        try:
            synchronised(make_steps(network, batch, size, "cuda")[name], "cuda")()
        except torch.cuda.OutOfMemoryError:
            return False
        return True

    low, high = 0, 1
    while high <= 4096 and fits(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    torch.cuda.set_per_process_memory_fraction(1.0)
    return low


def measure(options: argparse.Namespace, name: str, size: tuple[int, int]) -> list[dict[str, Any]]:
    """Rows of one network and crop."""
    device, batch = options.device, options.batch
    network = make_network(name, options.output_stride, device)
    steps = make_steps(network, batch, size, device)
    timings = common.time_in_turn(
        {name: synchronised(step, device) for name, step in steps.items()}, options.rounds, 1
    )
    peaks = {name: peak_bytes(step, device) for name, step in steps.items()}
    totals = {name: step().item() for name, step in steps.items()}
    if device == "cuda":
        del steps
        largest = {k: batch_by_trying(network, size, k, options.memory * 2**30) for k in LOSSES}
    else:
        more = make_steps(network, _MORE * batch, size, device)
        largest = {
            k: batch_by_growth(peaks[k], peak_bytes(step, device), batch, options.memory * 2**30)
            for k, step in more.items()
        }
    return [
        {"name": k, "step": vars(timings[k]), "peak_bytes": peaks[k], "total": totals[k],
         "largest_batch": largest[k]}
        for k in LOSSES
    ]  # fmt: skip


def report(title: str, rows: list[dict[str, Any]], memory: float) -> None:
    """Prints one case."""
    print(title, flush=True)
    for row in rows:
        time = row["step"]
        print(
            f"  {row['name']:22s} {time['median'] * 1e3:8.0f} ms [{time['p20'] * 1e3:.0f}, "
            f"{time['p80'] * 1e3:.0f}]  peak {row['peak_bytes'] / 2**20:6.0f} MiB  total "
            f"{row['total']:.5f}  largest batch in {memory:g} GiB: {row['largest_batch']}",
            flush=True,
        )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--networks", nargs="+", default=["demo", "resnet18", "resnet50"])
    parser.add_argument("--crops", nargs="+", default=["128x256"])
    parser.add_argument("--output-stride", type=int, default=8)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", type=float, default=16.0, help="GiB, for the largest batch")
    parser.add_argument("--json", help="write the results to this file")
    options = parser.parse_args()
    cases = []
    for name in options.networks:
        for crop in options.crops:
            height, width = (int(number) for number in crop.split("x"))
            rows = measure(options, name, (height, width))
            title = f"{name}, B={options.batch}, {crop}"
            report(title, rows, options.memory)
            cases.append({"title": title, "network": name, "crop": crop, "rows": rows})
    if options.json:
        common.write_results(options.json, {"options": vars(options), "cases": cases})


if __name__ == "__main__":
    main()
