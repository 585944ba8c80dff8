"""Clustering of votes against scikit-learn and dense grouping: time and memory.

    python benchmarks/bench_clustering.py [--votes 10000 100000 1000000] [--limit 60] [--json FILE]
    python benchmarks/bench_clustering.py --device cuda [--json FILE]

Votes of 60 instances on a 2048 x 1024 image: each votes within about 2.5 pixels of its centre, one
in ten anywhere. DBSCAN and the labels of OPTICS at eps = 3. A candidate is timed no further once a
call of it took more than `--limit` seconds. Dense grouping gives each vote the nearest of 60 known
centres through the matrix of all distances, as Panoptic-DeepLab's grouping does: it needs the
centres from elsewhere, and is here for the cost of that step alone.

Instances of an image: 1024 x 2048 pixels of eight thing classes, 128 blocks whose pixels vote
within a pixel of their middles. This part alone runs on a CUDA device, where the time is the
device's.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from functools import partial

import common
import numpy as np
import torch
from torch import Tensor

import mtl_cuda

EPS, INSTANCES, HEIGHT, WIDTH = 3.0, 60, 1024, 2048


def make_votes(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Votes [N,2] float64 and the centres [60,2] that most of them mean."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0, 1, (INSTANCES, 2)) * [WIDTH, HEIGHT]
    votes = centres[rng.integers(0, INSTANCES, count)] + rng.normal(0, 2.5, (count, 2))
    astray = rng.random(count) < 0.1
    votes[astray] = rng.uniform(0, 1, (int(astray.sum()), 2)) * [WIDTH, HEIGHT]
    return torch.from_numpy(votes), torch.from_numpy(centres)


def adversaries() -> dict[str, tuple[Tensor, float, int]]:
    """Votes that take minutes where crowded cells are compared pair by pair."""
    rng = np.random.default_rng(1)
    along = rng.uniform(-0.3, 0.3, 500_000)
    arc = np.stack([np.cos(along), np.sin(along)], axis=1) * (1 + 1e-9)
    lines = [np.stack([np.full(500_000, x), along], axis=1) for x in (0.0, 1 + 1e-9)]
    dense, sparse = rng.normal(0, 0.01, (500_000, 2)), rng.uniform(-1.2, 1.2, (20_000, 2))
    clump = rng.normal(0, 1e-11, (500_000, 2))
    cases: dict[str, tuple[np.ndarray, float, int]] = {
        "a million votes in one place": (np.full((1_000_000, 2), 3.3), 1.0, 10),
        "two dense lines just beyond eps": (np.concatenate(lines), 1.0, 10),
        "a dense arc just beyond eps": (np.concatenate([arc, clump]), 1.0, 10),
        "sparse beside dense": (np.concatenate([dense, sparse]), 1.0, 510_000),
        "huge eps": (rng.uniform(0, 2000, (1_000_000, 2)), 1e6, 10),
        "huge min_samples": (rng.uniform(0, 100, (500_000, 2)), 30.0, 141_000),
    }
    return {name: (torch.from_numpy(p), eps, least) for name, (p, eps, least) in cases.items()}


def candidates(votes: Tensor, centres: Tensor, least: int) -> dict[str, Callable[[], object]]:
    """What is compared, slowest last."""
    array = votes.numpy()
    places = votes.round()
    calls: dict[str, Callable[[], object]] = {
        "dbscan": lambda: mtl_cuda.dbscan(votes, EPS, least),
        "dbscan, votes rounded to pixels": lambda: mtl_cuda.dbscan(places, EPS, least),
        "optics labels (border='optics')": lambda: mtl_cuda.dbscan(votes, EPS, least, "optics"),
        "optics": lambda: mtl_cuda.optics(votes, least, EPS, "dbscan"),
        "dense grouping": lambda: torch.cdist(votes.float(), centres.float()).argmin(dim=1),
    }
    try:
        from sklearn.cluster import DBSCAN, OPTICS
    except ImportError:
        return calls
    calls["scikit-learn DBSCAN"] = DBSCAN(eps=EPS, min_samples=least, n_jobs=-1).fit
    calls["scikit-learn OPTICS"] = OPTICS(
        min_samples=least, max_eps=EPS, cluster_method="dbscan", algorithm="kd_tree"
    ).fit
    return {name: _with_array(call, array) for name, call in calls.items()}


def _with_array(call: Callable[..., object], array: np.ndarray) -> Callable[[], object]:
    return (lambda: call(array)) if hasattr(call, "__self__") else call


def make_image(device: str) -> tuple[Tensor, Tensor]:
    """Offsets [1,2,1024,2048] and classes 11 to 18 of blocks of 128 x 128 pixels."""
    torch.manual_seed(0)
    rows, columns = torch.arange(HEIGHT)[:, None], torch.arange(WIDTH)
    classes = torch.randint(11, 19, (HEIGHT // 128, WIDTH // 128), dtype=torch.uint8)
    to_middle = torch.stack(torch.broadcast_tensors(64 - columns % 128, 64 - rows % 128))
    offsets = to_middle[None] + torch.randn(1, 2, HEIGHT, WIDTH)
    return offsets.to(device), classes[rows // 128, columns // 128][None].to(device)


def bench_instances(device: str, rounds: int) -> dict[str, common.Timing]:
    """Times one image; on a CUDA device without reading how many instances there are."""
    offsets, classes = make_image(device)
    things = list(range(11, 19))
    settings = {"density, q = 1": ("density", 1), "density, q = 2": ("density", 2)}
    if device == "cpu":
        settings["grid"] = ("grid", 1)

    def cluster(method: str, cells: int) -> object:
        if device == "cpu":
            return mtl_cuda.cluster_instances(
                offsets,
                classes,
                things,
                eps=EPS,
                min_samples=50,
                method=method,
                cells_per_pixel=cells,
            )
        return torch.ops.mtl_cuda.cluster_instances_tables(
            offsets, classes, None, things, method, EPS, 50, "dbscan", cells, 0, math.inf, 1, False
        )

    calls = {name: partial(cluster, *setting) for name, setting in settings.items()}
    if device == "cpu":
        return common.time_in_turn(calls, rounds=rounds)
    return {name: _device_time(call, rounds) for name, call in calls.items()}


def _device_time(call: Callable[[], object], rounds: int) -> common.Timing:
    taken = []
    for _ in range(rounds + 2):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        call()
        end.record()
        end.synchronize()
        taken.append(begin.elapsed_time(end) / 1e3)
    return common.summary(taken[2:])


def measure(
    calls: dict[str, Callable[[], object]], rounds: int, limit: float
) -> dict[str, common.Timing]:
    """Medians of rounds in turn; candidates over the limit keep their first time."""
    first = {}
    for name, call in calls.items():
        begin = time.perf_counter()
        call()
        first[name] = time.perf_counter() - begin
    quick = {name: call for name, call in calls.items() if first[name] * rounds < limit}
    slow = {name: common.summary([first[name]]) for name in calls if name not in quick}
    return common.time_in_turn(quick, rounds=rounds, warm_up=0) | slow


def bench_votes(arguments: argparse.Namespace, results: dict[str, object]) -> None:
    """Votes of each number, then the adversaries."""
    for count in arguments.votes:
        votes, centres = make_votes(count)
        least = max(5, count // 5000)
        calls = {
            name: call
            for name, call in candidates(votes, centres, least).items()
            if not name.startswith(tuple(arguments.skip))
        }
        extra = common.peak_extra_bytes(lambda: mtl_cuda.dbscan(votes, EPS, least))  # noqa: B023
        print(f"{count} votes, min_samples = {least}; dbscan: {extra / count:.0f} bytes per vote")
        timings = measure(calls, arguments.rounds, arguments.limit)
        for name, timing in timings.items():
            print(f"  {name:35s} {timing}")
        results[str(count)] = {name: vars(timing) for name, timing in timings.items()}
        results[f"{count} bytes per vote"] = extra / count
    print("adversarial votes, dbscan")
    for name, (votes, eps, least) in adversaries().items():
        calls = {name: lambda: mtl_cuda.dbscan(votes, eps, least)}  # noqa: B023
        timing = measure(calls, arguments.rounds, arguments.limit)[name]
        print(f"  {name:35s} {timing}")
        results[name] = vars(timing)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--votes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds per candidate and size")
    parser.add_argument("--skip", nargs="*", default=[], help="candidates whose names start so")
    parser.add_argument("--json", help="file for the results")
    arguments = parser.parse_args()
    results: dict[str, object] = {}
    if arguments.device == "cpu":
        bench_votes(arguments, results)
    print("instances of one image of 1024 x 2048")
    for name, timing in bench_instances(arguments.device, arguments.rounds).items():
        print(f"  {name:35s} {timing}")
        results[f"instances, {name}"] = vars(timing)
    if arguments.json:
        common.write_results(arguments.json, results)


if __name__ == "__main__":
    main()
