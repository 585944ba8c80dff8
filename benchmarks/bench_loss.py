"""The fused loss against the same loss in PyTorch, eager and compiled: time and memory.

    python benchmarks/bench_loss.py [--size 512 1024] [--batch 2] [--dtype float32] [--json FILE]
    python benchmarks/bench_loss.py --device cuda --batch 8 --size 1024 2048 --dtype bfloat16

Forward and backward of three tasks at full resolution: cross-entropy over C classes, L1 of the
vectors to the instance centroids, L1 of inverse depth, weighed by learned log-variances. The
PyTorch loss gets the target vectors ready-made; the fused one finds them from the id map. On a GPU
forward, backward and host are measured apart, the fused loss is held against the bandwidth of a
copy, and torch.compile's max-autotune and, where it is installed, Liger-Kernel take part.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence

import common
import cuda_timing
import torch
from loss_case import losses, make_case, stepped
from torch import Tensor

import mtl_cuda

# On a GPU, times as fast.
AIMS = {"eager": 4, "torch.compile": 1, "torch.compile max-autotune": 1}


def cross_entropies(logits: Tensor, labels: Tensor) -> dict[str, Callable[[], Tensor]]:
    """Cross-entropy alone: the fused one and, where it is installed, Liger-Kernel's.

    Liger-Kernel takes rows of logits, so the planes are turned into rows first, as a user would
    have to, and it leaves the gradients in that copy.
    """
    tasks = {"semantic": mtl_cuda.CrossEntropyTask(logits.shape[1])}
    named: dict[str, Callable[[], Tensor]] = {
        "fused, cross-entropy alone": lambda: (
            mtl_cuda.functional.multi_task_loss(
                {"semantic": logits}, {"semantic": labels}, tasks, weights={"semantic": 1.0}
            ).total
        )
    }
    try:
        from liger_kernel.transformers import LigerCrossEntropyLoss
    except ImportError:
        return named
    liger, rows = LigerCrossEntropyLoss(ignore_index=255), labels.long().flatten()
    named["Liger-Kernel, cross-entropy alone"] = lambda: liger(
        logits.permute(0, 2, 3, 1).reshape(-1, logits.shape[1]), rows
    )
    return named


def floor_bytes(predictions: Sequence[Tensor], targets: Mapping[str, Tensor]) -> int:
    """What one pass has to move: predictions, labels and depth read once, gradients written once;
    ids twice, since no vector is known before the last pixel of its instance.
    """
    moved = 2 * sum(p.numel() * p.element_size() for p in predictions)
    times = {"semantic": 1, "instance": 2, "depth": 1}
    return moved + sum(times[name] * t.numel() * t.element_size() for name, t in targets.items())


def run_cuda(options: argparse.Namespace) -> None:
    """Measures on the current CUDA device; labels are uint8."""
    size, dtype = tuple(options.size), getattr(torch, options.dtype)
    predictions, targets = make_case(
        options.batch, options.classes, size, dtype, "cuda", torch.uint8
    )
    modes = {"torch.compile": "default", "torch.compile max-autotune": "max-autotune"}
    named = losses(predictions, targets, {} if options.no_compile else modes)
    alone = cross_entropies(predictions["semantic"], targets["semantic"])
    leaves = {name: list(predictions.values()) for name in named}
    leaves |= {name: [predictions["semantic"]] for name in alone}
    semantic = {"semantic": targets["semantic"]}
    declared = {
        "fused": floor_bytes(list(predictions.values()), targets),
        "fused, cross-entropy alone": floor_bytes([predictions["semantic"]], semantic),
    }
    rows, bandwidth = cuda_timing.measure(named | alone, leaves, declared, options.rounds)
    pixels = targets["semantic"].numel()
    note = f"The fused loss has to move {declared['fused'] / pixels:.0f} B per pixel."
    title = f"B={options.batch} C={options.classes} {size[0]}x{size[1]} {options.dtype}"
    print(f"{title}; copy bandwidth {bandwidth / 1e9:.0f} GB/s. {note}")
    for row in rows:
        numbers = f"{row['both']['median'] * 1e3:9.3f} ms" if "both" in row else row["error"]
        share = f"  {row['share_of_copy']:.0%} of copy" if "share_of_copy" in row else ""
        print(f"{row['name']:34s} {numbers}{share}")
    if options.json:
        note = f"Copy bandwidth {bandwidth / 1e9:.0f} GB/s. {note}"
        case = {"title": title, "note": note, "rows": rows, "aims": AIMS}
        common.write_results(options.json, {"options": vars(options), "cases": [case]})


def run_cpu(options: argparse.Namespace) -> None:
    """Measures forward and backward together on the CPU; labels are int64."""
    size, dtype = tuple(options.size), getattr(torch, options.dtype)
    predictions, targets = make_case(
        options.batch, options.classes, size, dtype, "cpu", torch.int64
    )
    modes = {} if options.no_compile else {"torch.compile": "default"}
    named = {
        name: stepped(loss, predictions)
        for name, loss in losses(predictions, targets, modes).items()
    }
    totals = {name: step().item() for name, step in named.items()}
    logits = predictions["semantic"].detach()
    source, target = logits, torch.empty_like(logits)
    named["copy of the logits"] = lambda: target.copy_(source)
    timings = common.time_in_turn(named, options.rounds)
    gradients = sum(p.numel() * p.element_size() for p in predictions.values())
    memory = {name: common.peak_extra_bytes(named[name]) for name in totals}
    print(f"B={options.batch} C={options.classes} {options.size} {options.dtype}, forward+backward")
    for name, timing in timings.items():
        ratio = timing.median / timings["fused"].median
        line = f"{name:20s} {timing}  {ratio:6.2f} x fused"
        if name in memory:
            line += f"  peak +{memory[name] / 2**20:.0f} MiB  total {totals[name]:.6f}"
        print(line)
    print(f"gradients: {gradients / 2**20:.0f} MiB")
    if options.json:
        common.write_results(
            options.json,
            {
                "case": vars(options),
                "seconds": {name: vars(timing) for name, timing in timings.items()},
                "peak_extra_bytes": memory,
                "gradient_bytes": gradients,
                "totals": totals,
            },
        )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--size", type=int, nargs=2, default=(512, 1024))
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--classes", type=int, default=19)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--rounds", type=int, help="default: 9 on the CPU, 50 on a GPU")
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--json", help="write the results to this file")
    options = parser.parse_args()
    if options.device == "cuda":
        options.rounds = options.rounds or 50
        run_cuda(options)
    else:
        options.rounds = options.rounds or 9
        run_cpu(options)


if __name__ == "__main__":
    main()
