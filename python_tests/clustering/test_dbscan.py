"""DBSCAN: the arrays of scikit-learn, the border rules of the reference, bounded load, refusals."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import torch
from cluster_cases import PointCase, point_cases
from hypothesis import given
from hypothesis import strategies as st

import mtl_cuda
from mtl_cuda import reference

BORDERS = ("dbscan", "optics", "nearest", "none")


def _cluster(points: Any, eps: float, min_samples: int, border: str = "dbscan") -> list[int]:
    tensor = torch.as_tensor(np.asarray(points, dtype=np.float64))
    return mtl_cuda.dbscan(tensor, eps, min_samples, border).labels_.tolist()


def _assert_as_scikit_learn(case: PointCase) -> None:
    cluster = pytest.importorskip("sklearn.cluster", reason="scikit-learn is the oracle")
    expected = cluster.DBSCAN(eps=case.eps, min_samples=case.min_samples, algorithm="kd_tree").fit(
        case.points
    )
    found = mtl_cuda.dbscan(torch.from_numpy(case.points), case.eps, case.min_samples)
    np.testing.assert_array_equal(found.labels_.numpy(), expected.labels_, case.name)
    np.testing.assert_array_equal(
        found.core_sample_indices_.numpy(), expected.core_sample_indices_, case.name
    )


def test_as_scikit_learn_small() -> None:
    for case in point_cases(1400, (1, 2, 5, 30, 100, 300), seed=1):
        _assert_as_scikit_learn(case)


def test_as_scikit_learn_large() -> None:
    for case in point_cases(42, (2000, 5000), seed=2):
        if case.eps < 100:  # there scikit-learn lists all pairs
            _assert_as_scikit_learn(case)


def test_as_scikit_learn_200k() -> None:
    rng = np.random.default_rng(3)
    points = rng.uniform(0, 1, (200_000, 2)) * [2048, 1024]
    points[::2] = np.round(points[::2])
    _assert_as_scikit_learn(PointCase("200k", points, 4.0, 7))


@pytest.mark.parametrize("border", BORDERS)
def test_as_the_reference(border: str) -> None:
    for case in point_cases(210, (1, 5, 30, 100), seed=4):
        points = torch.from_numpy(case.points)
        labels, core = reference.dbscan(points, case.eps, case.min_samples, border)
        found = mtl_cuda.dbscan(points, case.eps, case.min_samples, border)
        assert torch.equal(found.labels_, labels), case.name
        assert torch.equal(found.core_sample_indices_, core.nonzero().flatten()), case.name


def test_crowded_cells_as_the_reference() -> None:
    """Trees inside cells: hundreds of points each, eps through the middle of them."""
    rng = np.random.default_rng(5)
    for seed in range(24):
        clumps = rng.uniform(0, 3, (rng.integers(2, 6), 2))
        count = int(rng.integers(200, 600))
        points = clumps[rng.integers(0, len(clumps), count)]
        points = torch.from_numpy(points + rng.normal(0, rng.choice([0.01, 0.2]), (count, 2)))
        min_samples = int(rng.choice([2, 50, count // 2, count - 5]))
        border = BORDERS[seed % 4]
        labels, core = reference.dbscan(points, 1.0, min_samples, border)
        found = mtl_cuda.dbscan(points, 1.0, min_samples, border)
        assert torch.equal(found.labels_, labels), seed
        assert torch.equal(found.core_sample_indices_, core.nonzero().flatten()), seed


def test_a_distance_of_exactly_eps_counts() -> None:
    assert _cluster([[0, 0], [3, 4]], 5.0, 2) == [0, 0]
    assert _cluster([[0, 0], [3, 4]], np.nextafter(5.0, 0), 2) == [-1, -1]


def test_a_point_is_its_own_neighbour() -> None:
    assert _cluster([[0, 0], [10, 0]], 1.0, 1) == [0, 1]
    assert _cluster([[0, 0], [1, 0]], 1.0, 2) == [0, 0]
    assert _cluster([[0, 0], [1, 0]], 1.0, 3) == [-1, -1]


def test_distances_are_of_float64() -> None:
    """In float32 the two would be in one place, and 0.1 steps at 2000 would not be 0.1."""
    assert _cluster([[1e6, 0], [1e6 + 1e-4, 0]], 5e-5, 2) == [-1, -1]
    assert _cluster([[0, 0], [1 + 1e-12, 0]], 1.0, 2) == [-1, -1]


def test_border_rules_differ_where_they_should() -> None:
    """One point between two clusters has a core point of each in reach, the second's nearer."""
    left, right = [[0, 0], [1, 0], [0, 1], [0, 0.5]], [[3.5, 0], [4.2, 0], [4.2, 0.5], [4.4, 0]]
    between = [[2.3, 0]]
    points = left + between + right
    assert _cluster(points, 1.4, 4, "dbscan")[4] == 0
    assert _cluster(points, 1.4, 4, "optics")[4] == 0
    assert _cluster(points, 1.4, 4, "nearest")[4] == 1
    assert _cluster(points, 1.4, 4, "none")[4] == -1
    first = between + left + right
    assert _cluster(first, 1.4, 4, "dbscan")[0] == 0
    assert _cluster(first, 1.4, 4, "optics")[0] == -1


@given(st.lists(st.tuples(*[st.integers(0, 6)] * 2), max_size=40), st.data())
def test_points_that_are_not_finite_change_nothing_else(
    places: list[tuple[int, int]], data: st.DataObject
) -> None:
    points = torch.tensor(places, dtype=torch.float64).reshape(-1, 2)
    at = data.draw(st.integers(0, len(places)))
    value = data.draw(st.sampled_from([torch.nan, torch.inf, -torch.inf]))
    bad = torch.tensor([[value, 1.0], [1.0, value]], dtype=torch.float64)
    found = mtl_cuda.dbscan(torch.cat([points[:at], bad, points[at:]]), 1.0, 3).labels_
    assert found[at : at + 2].tolist() == [-1, -1]
    rest = torch.cat([found[:at], found[at + 2 :]])
    assert torch.equal(rest, mtl_cuda.dbscan(points, 1.0, 3).labels_)


def test_same_bits_for_every_number_of_threads() -> None:
    rng = np.random.default_rng(6)
    points = torch.from_numpy(rng.uniform(0, 200, (60_000, 2)))
    before, results = torch.get_num_threads(), []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        results.append(mtl_cuda.dbscan(points, 1.0, 6))
    torch.set_num_threads(before)
    assert all(torch.equal(a, b) for other in results[1:] for a, b in zip(results[0], other))


def _crowd(kind: str) -> tuple[np.ndarray, float, int]:
    rng = np.random.default_rng(7)
    along = rng.uniform(0, 0.5, 100_000)
    if kind == "identical":
        return np.full((1_000_000, 2), 3.3), 1.0, 10
    if kind == "two lines just beyond eps":
        lines = [np.stack([np.full(100_000, x), along], axis=1) for x in (0.0, 1 + 1e-9)]
        return np.concatenate(lines), 1.0, 10
    if kind == "an arc just beyond eps":
        arc = np.stack([np.cos(along), np.sin(along)], axis=1) * (1 + 1e-9)
        return np.concatenate([arc, rng.normal(0, 1e-11, (100_000, 2))]), 1.0, 10
    if kind == "sparse beside dense":
        dense, sparse = rng.normal(0, 0.01, (200_000, 2)), rng.uniform(-1.2, 1.2, (10_000, 2))
        return np.concatenate([dense, sparse]), 1.0, 205_000
    if kind == "huge eps":
        return rng.uniform(0, 2000, (300_000, 2)), 1e9, 10
    if kind == "huge min_samples":
        return rng.uniform(0, 100, (100_000, 2)), 30.0, 28_000
    return np.concatenate([rng.normal(0, 1, (100_000, 2)), rng.normal(0, 1e300, (99, 2))]), 0.1, 5


@pytest.mark.parametrize(
    "kind",
    [
        "identical",
        "two lines just beyond eps",
        "an arc just beyond eps",
        "sparse beside dense",
        "huge eps",
        "huge min_samples",
        "outliers beyond any grid",
    ],
)
def test_adversarial_load_is_bounded(kind: str) -> None:
    """Pair by pair each of these takes minutes, or memory for a cell per outlier."""
    points, eps, min_samples = _crowd(kind)
    begin = time.process_time()
    mtl_cuda.dbscan(torch.from_numpy(points), eps, min_samples)
    assert time.process_time() - begin < 10


def test_float32_points_are_taken_as_they_are() -> None:
    points = torch.rand(500, 2, generator=torch.Generator().manual_seed(0)) * 9
    expected = mtl_cuda.dbscan(points.double(), 0.5, 4)
    assert torch.equal(mtl_cuda.dbscan(points, 0.5, 4).labels_, expected.labels_)
    strided = torch.stack([points, points], dim=1)[:, 0].T.contiguous().T
    assert torch.equal(mtl_cuda.dbscan(strided, 0.5, 4).labels_, expected.labels_)


def test_no_points() -> None:
    found = mtl_cuda.dbscan(torch.empty(0, 2), 1.0, 1)
    assert found.labels_.shape == found.core_sample_indices_.shape == (0,)


def test_opcheck() -> None:
    points = torch.rand(50, 2, dtype=torch.float64)
    torch.library.opcheck(torch.ops.mtl_cuda.dbscan.default, (points, 0.2, 3, "optics"))


def test_refused() -> None:
    points = torch.rand(5, 2)
    with pytest.raises(TypeError, match="points: expected a tensor, got ndarray"):
        mtl_cuda.dbscan(points.numpy(), 1.0)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="points: expected a tensor of float64, float32"):
        mtl_cuda.dbscan(points.long(), 1.0)
    with pytest.raises(ValueError, match=r"points: expected \[N,2\], got \[2, 5\]"):
        mtl_cuda.dbscan(points.T, 1.0)
    with pytest.raises(NotImplementedError, match=r"CPU or a CUDA device, got one on meta"):
        mtl_cuda.dbscan(points.to("meta"), 1.0)
    for eps in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="eps: expected a number from"):
            mtl_cuda.dbscan(points, eps)
    with pytest.raises(ValueError, match="min_samples: expected at least 1, got 0"):
        mtl_cuda.dbscan(points, 1.0, 0)
    with pytest.raises(TypeError, match="min_samples: expected an integer, got float"):
        mtl_cuda.dbscan(points, 1.0, 2.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="border: expected one of"):
        mtl_cuda.dbscan(points, 1.0, 2, "first")
