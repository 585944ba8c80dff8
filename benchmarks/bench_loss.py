"""The fused loss against the same loss in PyTorch, eager and compiled: time and memory.

    python benchmarks/bench_loss.py [--size 512 1024] [--batch 2] [--dtype float32] [--json FILE]

Forward and backward of three tasks at full resolution: cross-entropy over C classes, L1 of the
vectors to the instance centroids, L1 of inverse depth, weighed by learned log-variances. The
PyTorch loss gets the target vectors ready-made; the fused one finds them from the id map.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import common
import torch
import torch.nn.functional as F
from torch import Tensor

import mtl_cuda

TASKS = ("semantic", "instance", "depth")


def make_case(
    batch: int, classes: int, height: int, width: int, dtype: torch.dtype
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Random predictions; labels in patches, some ignored; 12 instances a picture."""
    torch.manual_seed(0)
    channels = {"semantic": classes, "instance": 2, "depth": 1}
    predictions = {
        name: torch.randn(batch, channels[name], height, width, dtype=dtype).requires_grad_()
        for name in TASKS
    }
    coarse = (batch, height // 16, width // 16)
    patches = torch.randint(0, classes, coarse).repeat_interleave(16, 1).repeat_interleave(16, 2)
    patches[:, : height // 20] = 255
    ids = torch.randint(0, 12, coarse).repeat_interleave(16, 1).repeat_interleave(16, 2)
    depth = torch.rand(batch, height, width)
    depth[torch.rand(depth.shape) < 0.1] = torch.nan
    return predictions, {"semantic": patches, "instance": ids.int(), "depth": depth}


def pytorch_loss(
    predictions: dict[str, Tensor],
    labels: Tensor,
    vectors: Tensor,
    is_instance: Tensor,
    depth: Tensor,
    is_depth: Tensor,
    log_variances: Tensor,
) -> Tensor:
    """The loss as one writes it in PyTorch, with masks made once per batch."""
    semantic = F.cross_entropy(predictions["semantic"].float(), labels, ignore_index=255)
    instance = (predictions["instance"].float() - vectors).abs().sum(1)
    instance = (instance * is_instance).sum() / is_instance.sum()
    inverse_depth = (predictions["depth"].float()[:, 0] - depth).abs()
    inverse_depth = (inverse_depth * is_depth).sum() / is_depth.sum()
    losses = torch.stack([semantic, instance / 2, inverse_depth / 2])
    return (torch.exp(-log_variances) * losses + log_variances / 2).sum()


def candidates(
    predictions: dict[str, Tensor], targets: dict[str, Tensor], compiled: bool
) -> dict[str, Callable[[], Tensor]]:
    """Name -> one forward and backward pass that returns the total."""
    criterion = mtl_cuda.MultiTaskLoss(
        {
            "semantic": mtl_cuda.CrossEntropyTask(predictions["semantic"].shape[1]),
            "instance": mtl_cuda.InstanceOffsetTask(),
            "depth": mtl_cuda.L1Task(),
        }
    )
    log_variances = torch.zeros(3, requires_grad=True)
    vectors = mtl_cuda.reference.instance_offsets(targets["instance"]).float()
    ready = (
        targets["semantic"],
        vectors.nan_to_num(),
        (targets["instance"] > 0).float(),
        targets["depth"].nan_to_num(),
        (~targets["depth"].isnan()).float(),
        log_variances,
    )

    def run(loss: Callable[[], Tensor]) -> Callable[[], Tensor]:
        def step() -> Tensor:
            for prediction in predictions.values():
                prediction.grad = None
            total = loss()
            # Gradients end here as they would in a network: handed on, not copied.
            torch.autograd.grad(total, list(predictions.values()))
            return total.detach()

        return step

    named = {
        "fused": run(lambda: criterion(predictions, targets).total),
        "eager": run(lambda: pytorch_loss(predictions, *ready)),
    }
    if compiled:
        loss = torch.compile(pytorch_loss)
        named["torch.compile"] = run(lambda: loss(predictions, *ready))
    return named


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, nargs=2, default=(512, 1024))
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--classes", type=int, default=19)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--json", help="write the results to this file")
    options = parser.parse_args()
    dtype = getattr(torch, options.dtype)
    predictions, targets = make_case(options.batch, options.classes, *options.size, dtype)
    named = candidates(predictions, targets, not options.no_compile)
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


if __name__ == "__main__":
    main()
