"""What the loss of low-resolution predictions does for a whole training step.

    python benchmarks/bench_train_step.py [--size 128 256] [--batch 4] [--json FILE]

The demo's network, forward, loss and backward, with the predictions
  fused, low resolution   given to the op as they are
  fused, interpolated     interpolated first, as the op needed before
  eager                   interpolated first, loss in PyTorch
Time of a step, and what it takes in memory beyond the network and its inputs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import common
import torch
import torch.nn.functional as F
from loss_case import losses, make_case
from torch import Tensor

from mtl_cuda.commands.demo import demo_config
from mtl_cuda.engine.build import build_network
from mtl_cuda.tasks import CrossEntropyTask, InstanceOffsetTask, L1Task, Task


def training_steps(batch: int, size: tuple[int, int]) -> dict[str, Callable[[], Tensor]]:
    """A step by name; all with the same weights and targets."""
    config = demo_config(Path(), Path(), 1.0, 0)
    tasks: dict[str, Task] = {
        "semantic": CrossEntropyTask(19),
        "instance": InstanceOffsetTask(),
        "depth": L1Task(),
    }
    torch.manual_seed(0)
    network = build_network(config.model, tasks)
    images = torch.randn(batch, 3, *size)
    predictions, targets = make_case(batch, 19, size, torch.float32, "cpu", torch.int64)
    named = losses(predictions, targets, {})

    def step(loss: str, interpolate: bool) -> Tensor:
        given = network(images)
        if interpolate:
            given = {
                name: F.interpolate(prediction, size=size, mode="bilinear")
                for name, prediction in given.items()
            }
        predictions.update(given)  # the losses read them from there
        total = named[loss]()
        network.zero_grad(set_to_none=True)
        total.backward()
        predictions.clear()
        return total.detach()

    return {
        "fused, low resolution": lambda: step("fused", False),
        "fused, interpolated": lambda: step("fused", True),
        "eager": lambda: step("eager", True),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, nargs=2, default=(128, 256))
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", help="write the results to this file")
    options = parser.parse_args()
    steps = training_steps(options.batch, tuple(options.size))
    totals = {name: step().item() for name, step in steps.items()}
    timings = common.time_in_turn(steps, options.rounds)
    memory = {
        name: max(common.peak_extra_bytes(step) for _ in range(3)) for name, step in steps.items()
    }
    print(f"B={options.batch} {options.size[0]}x{options.size[1]}, the demo's network")
    for name, timing in timings.items():
        print(
            f"{name:24s} {timing}  peak +{memory[name] / 2**20:.0f} MiB  total {totals[name]:.6f}"
        )
    if options.json:
        common.write_results(
            options.json,
            {
                "case": vars(options),
                "seconds": {name: vars(timing) for name, timing in timings.items()},
                "peak_extra_bytes": memory,
                "totals": totals,
            },
        )


if __name__ == "__main__":
    main()
