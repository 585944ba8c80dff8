"""Clustering of votes against scikit-learn and dense grouping: time and memory.

    python benchmarks/bench_clustering.py [--votes 10000 200000 2000000] [--limit 60] [--json FILE]
    python benchmarks/bench_clustering.py --device cuda [--json FILE]

Votes of 60 instances on a 2048 x 1024 image: each votes within about 2.5 pixels of its centre, one
in ten anywhere; eps = 3, min_samples a 5000th of the votes. Then adversaries. The first call of
each candidate runs in a process of its own, where its memory is measured, and is ended after
`--limit` seconds or 8 GiB; those that are quick enough are then timed in turn. The rivals:

- scikit-learn's DBSCAN and OPTICS, whose labels are the same;
- fast_hdbscan, another algorithm for the same purpose, with eps as its cluster_selection_epsilon;
- dense grouping as in Panoptic-DeepLab (dense_grouping.py): its centres come from a heatmap that a
  network would have to predict, here of an image with one pixel per vote.

Instances of an image: 1024 x 2048 pixels of eight thing classes, 128 blocks whose pixels vote
within a pixel of their middles. On a CUDA device this and `dbscan` of typical votes run, and the
time is the device's.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

import common
import dense_grouping
import torch
from bounded_call import first_call
from clustering_cases import ADVERSARIES, EPS, HEIGHT, WIDTH, Case, make_case
from torch import Tensor

import mtl_cuda


def _ours(case: Case) -> dict[str, Callable[[], object]]:
    votes, places = case.votes, case.votes.round()
    settings = case.eps, case.min_samples
    return {
        "dbscan": lambda: mtl_cuda.dbscan(votes, *settings),
        "dbscan, votes rounded to pixels": lambda: mtl_cuda.dbscan(places, *settings),
        "optics labels (border='optics')": lambda: mtl_cuda.dbscan(votes, *settings, "optics"),
        "optics": lambda: mtl_cuda.optics(votes, case.min_samples, case.eps, "dbscan"),
    }


def _rivals(case: Case) -> dict[str, Callable[[], object]]:
    array, least = case.votes.numpy(), case.min_samples
    calls: dict[str, Callable[[], object]] = {
        "dense grouping": lambda: dense_grouping.group(case.heatmap, case.scaled, case.classes)
    }
    if find_spec("fast_hdbscan"):
        from fast_hdbscan import HDBSCAN

        hdbscan = HDBSCAN(
            min_cluster_size=least, min_samples=least, cluster_selection_epsilon=case.eps
        )
        calls["fast_hdbscan"] = lambda: hdbscan.fit(array)
    if find_spec("sklearn"):
        from sklearn.cluster import DBSCAN, OPTICS

        dbscan = DBSCAN(eps=case.eps, min_samples=least, n_jobs=-1)
        calls["scikit-learn DBSCAN"] = lambda: dbscan.fit(array)
        optics = OPTICS(
            min_samples=least, max_eps=case.eps, cluster_method="dbscan", algorithm="kd_tree"
        )
        calls["scikit-learn OPTICS"] = lambda: optics.fit(array)
    return calls


def candidates(case: Case) -> dict[str, Callable[[], object]]:
    """What is compared, slowest last."""
    return _ours(case) | _rivals(case)


def prepare(key: int | str, name: str) -> Callable[[], object]:
    """A candidate's call on a case, after one on few votes: some compile themselves first."""
    candidates(make_case(1000))[name]()
    return candidates(make_case(key))[name]


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


def bench_device(counts: list[int], rounds: int) -> dict[str, common.Timing]:
    """Times DBSCAN of typical votes on a CUDA device, without numbers being read back."""
    timings = {}
    for count in counts:
        case = make_case(count)
        votes = case.votes.to("cuda")
        call = partial(torch.ops.mtl_cuda.dbscan, votes, case.eps, case.min_samples, "dbscan")
        timings[f"dbscan, {count} votes"] = _device_time(call, rounds)
    return timings


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


def bench_case(key: int | str, arguments: argparse.Namespace) -> dict[str, object]:
    """The first call of each candidate, bounded; then those quick enough in turn."""
    case = make_case(key)
    chosen = {name: call for name, call in candidates(case).items() if name not in arguments.skip}
    count = len(case.votes)
    print(f"{key}: {count} votes, eps = {case.eps:g}, min_samples = {case.min_samples}")
    first = {name: first_call(prepare, (key, name), arguments.limit) for name in chosen}
    quick = {
        name: chosen[name]
        for name, answer in first.items()
        if not isinstance(answer, str) and answer[0] * arguments.rounds < arguments.limit
    }
    timings = common.time_in_turn(quick, rounds=arguments.rounds, warm_up=1)
    rows: dict[str, object] = {}
    for name, answer in first.items():
        if isinstance(answer, str):
            rows[name] = {"not done": answer}
            print(f"  {name:35s} {answer}", flush=True)
            continue
        seconds, extra = answer
        timing = timings.get(name, common.summary([seconds]))
        calls = arguments.rounds if name in timings else 1
        rows[name] = vars(timing) | {"calls": calls, "bytes per vote": extra / count}
        print(f"  {name:35s} {timing}  {extra / count:8.0f} bytes per vote", flush=True)
    return {"votes": count, "eps": case.eps, "min_samples": case.min_samples, **rows}


def save(results: dict[str, object], path: str | None) -> None:
    """Case by case, since a run may be ended early."""
    if path:
        common.write_results(path, results)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    sizes = [10_000, 50_000, 200_000, 1_000_000, 2_000_000]
    parser.add_argument("--votes", type=int, nargs="*", default=sizes)
    parser.add_argument("--adversaries", nargs="*", choices=ADVERSARIES, default=ADVERSARIES)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument(
        "--limit", type=float, default=60.0, help="seconds of a candidate's first call"
    )
    parser.add_argument("--skip", nargs="*", default=[], help="names of candidates")
    parser.add_argument("--json", help="file for the results")
    arguments = parser.parse_args()
    results: dict[str, object] = {}
    for package in ("fast_hdbscan", "sklearn"):
        if not find_spec(package):
            print(f"{package} is not installed: skipped")
    timings: dict[str, common.Timing] = {}
    if arguments.device == "cpu":
        for key in (*arguments.votes, *arguments.adversaries):
            results[str(key)] = bench_case(key, arguments)
            save(results, arguments.json)
    else:
        timings = bench_device(arguments.votes, arguments.rounds)
    for name, timing in bench_instances(arguments.device, arguments.rounds).items():
        timings[f"instances, {name}"] = timing
    for name, timing in timings.items():
        print(f"{name:37s} {timing}")
        results[name] = vars(timing)
    save(results, arguments.json)


if __name__ == "__main__":
    main()
