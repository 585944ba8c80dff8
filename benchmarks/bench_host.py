"""What the host needs to issue one loss: time spent in Python and PyTorch, hardly any in kernels.

    python benchmarks/bench_host.py [--block 1] [--rounds 2000] [--json FILE]

Forward and backward of three tasks on 4 x 4 pixels and one thread, the fused loss and the same loss
in PyTorch in turn: after 100 calls each, or after each call, which then finds cold caches, as in a
training step. On a GPU `bench_loss.py --device cuda` measures the host as well.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict

import common
import torch
from loss_case import losses, make_case


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--block", type=int, default=100, help="calls before it is another's turn")
    parser.add_argument("--json", help="write the results to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    predictions, targets = make_case(1, 5, (16, 16), torch.float32, "cpu", torch.int64)
    predictions = {
        name: tensor.detach()[..., :4, :4].contiguous().requires_grad_()
        for name, tensor in predictions.items()
    }
    targets = {name: tensor[..., :4, :4].contiguous() for name, tensor in targets.items()}
    leaves = list(predictions.values())
    named = losses(predictions, targets, {})
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in named}
    for turn in range(1 + options.rounds // options.block):
        for name, loss in named.items():
            for _ in range(options.block):
                begin = time.perf_counter()
                total = loss()
                middle = time.perf_counter()
                torch.autograd.grad(total, leaves)
                end = time.perf_counter()
                del total  # outside the measured time
                if turn > 0:
                    samples[name].append((middle - begin, end - middle))
    rows = {
        name: {
            "forward": common.summary([forward for forward, _ in pairs]),
            "backward": common.summary([backward for _, backward in pairs]),
            "both": common.summary([sum(pair) for pair in pairs]),
        }
        for name, pairs in samples.items()
    }
    for name, parts in rows.items():
        numbers = [
            f"{part} {timing.median * 1e6:6.1f} us [{timing.p20 * 1e6:.1f}, {timing.p80 * 1e6:.1f}]"
            for part, timing in parts.items()
        ]
        print(f"{name:8s} {'  '.join(numbers)}")
    if options.json:
        seconds = {name: {part: asdict(t) for part, t in row.items()} for name, row in rows.items()}
        common.write_results(options.json, {"case": vars(options), "seconds": seconds})


if __name__ == "__main__":
    main()
