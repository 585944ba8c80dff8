"""OPTICS: the arrays of scikit-learn, and what is refused."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from cluster_cases import PointCase, point_cases

import mtl_cuda

ARRAYS = ("ordering_", "reachability_", "core_distances_", "predecessor_", "labels_")
INFINITE = float("inf")


def _oracle(points: np.ndarray, **settings: Any) -> Any:
    cluster = pytest.importorskip("sklearn.cluster", reason="scikit-learn is the oracle")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "all reachability values are inf"
        return cluster.OPTICS(algorithm="kd_tree", **settings).fit(points)


def _assert_as_scikit_learn(case: PointCase, **settings: Any) -> None:
    settings["min_samples"] = max(2, min(case.min_samples, len(case.points)))
    expected = _oracle(case.points, **settings)
    found = mtl_cuda.optics(torch.from_numpy(case.points), **settings)
    for name in ARRAYS:
        message = f"{name} of {case.name}, {settings}"
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), message)


@pytest.mark.parametrize("correction", [True, False])
def test_as_scikit_learn_xi(correction: bool) -> None:
    for index, case in enumerate(point_cases(84, (2, 5, 30, 100), seed=11 + correction)):
        _assert_as_scikit_learn(
            case,
            max_eps=INFINITE if index % 2 else case.eps,
            xi=(0.05, 0.2, 0.5, 0.9)[index % 4],
            min_cluster_size=(None, 2)[index % 2],
            predecessor_correction=correction,
        )


def test_as_scikit_learn_dbscan() -> None:
    for index, case in enumerate(point_cases(84, (2, 5, 30, 100), seed=13)):
        _assert_as_scikit_learn(
            case,
            max_eps=case.eps,
            cluster_method="dbscan",
            eps=(None, case.eps / 2)[index % 2],
        )


def test_as_scikit_learn_large() -> None:
    for case in point_cases(7, (600,), seed=14):
        _assert_as_scikit_learn(case, max_eps=INFINITE)
    rng = np.random.default_rng(15)
    blobs = rng.uniform(0, 20, (6, 2))[rng.integers(0, 6, 5000)] + rng.normal(0, 0.3, (5000, 2))
    blobs[::2] = np.round(blobs[::2], 1)
    _assert_as_scikit_learn(PointCase("blobs", blobs, 1.0, 10), max_eps=1.0)


def test_dbscan_with_the_border_rule_of_optics() -> None:
    for case in point_cases(105, (2, 5, 30, 100), seed=16):
        min_samples = max(2, min(case.min_samples, len(case.points)))
        expected = _oracle(
            case.points, min_samples=min_samples, max_eps=case.eps, cluster_method="dbscan"
        )
        found = mtl_cuda.dbscan(torch.from_numpy(case.points), case.eps, min_samples, "optics")
        np.testing.assert_array_equal(found.labels_, expected.labels_, case.name)


def test_a_million_votes_in_one_place() -> None:
    found = mtl_cuda.optics(torch.full((1_000_000, 2), 3.3), 10, cluster_method="dbscan", eps=1.0)
    assert found.ordering_.equal(torch.arange(1_000_000))
    assert found.predecessor_[1:].eq(0).all()
    assert found.labels_.eq(0).all()


def test_points_that_are_not_finite_are_out_of_reach() -> None:
    good = torch.tensor([[0.0, 0], [1, 0], [2, 0]], dtype=torch.float64)
    bad = torch.tensor([[torch.nan, 0], [0, torch.inf]], dtype=torch.float64)
    found = mtl_cuda.optics(torch.cat([bad[:1], good, bad[1:]]), 2, cluster_method="dbscan", eps=1)
    assert found.ordering_.tolist() == [0, 1, 2, 3, 4]
    assert found.labels_.tolist() == [-1, 0, 0, 0, -1]
    assert found.core_distances_.tolist() == [INFINITE, 1, 1, 1, INFINITE]
    assert found.predecessor_.tolist() == [-1, -1, 1, 2, -1]


def test_same_bits_for_every_number_of_threads() -> None:
    points = torch.rand(5000, 2, generator=torch.Generator().manual_seed(1)) * 60
    before, results = torch.get_num_threads(), []
    for threads in (1, 4):
        torch.set_num_threads(threads)
        results.append(mtl_cuda.optics(points, 5, 3.0))
    torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*results))


def test_opcheck() -> None:
    points = torch.rand(50, 2)
    ops = torch.ops.mtl_cuda
    torch.library.opcheck(ops.optics.default, (points, 0.2, 3))
    order, reach, _, before = ops.optics(points, 0.2, 3)
    torch.library.opcheck(ops.optics_xi.default, (order, reach, before, 3, 3, 0.05, True))


def test_refused() -> None:
    points = torch.rand(5, 2)
    for settings, message in (
        ({"min_samples": 6}, "min_samples: expected at most the 5 points, got 6"),
        ({"min_samples": 0}, "min_samples: expected at least 1"),
        ({"min_cluster_size": 6}, "min_cluster_size: expected at most the 5 points"),
        ({"max_eps": -1.0}, "max_eps: expected a number from"),
        ({"xi": 1.5}, "xi: expected a number from 0 to 1, got 1.5"),
        ({"cluster_method": "mean"}, "cluster_method: expected one of"),
        ({"max_eps": 1.0, "eps": 2.0}, "eps: expected a number from 0 to max_eps = 1.0, got 2.0"),
    ):
        with pytest.raises(ValueError, match=message):
            mtl_cuda.optics(points, **settings)  # type: ignore[arg-type]
