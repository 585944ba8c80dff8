"""The CUDA kernels of DBSCAN on the CPU: under every schedule, as the CPU's own code."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from cluster_cases import point_cases
from simt_harness import (
    ACTIVE_SANITIZER,
    CSRC,
    SANITIZERS,
    SCHEDULES,
    TESTS_NATIVE,
    Schedule,
    build_simt_library,
    call,
    require_simt,
    run_tests_sanitized,
    set_schedule,
)

require_simt()

SOURCES = (
    TESTS_NATIVE / "cluster/dbscan_entry.cpp",
    CSRC / "cluster/cuda/dbscan.cu",
    CSRC / "cluster/cpu/dbscan.cpp",
    CSRC / "cluster/cpu/grid.cpp",
    CSRC / "common/parallel.cpp",
)
BORDERS = range(4)


@functools.cache
def library() -> Any:
    return build_simt_library(SOURCES)


def dbscan(
    where: str, points: np.ndarray, eps: float, min_samples: int, border: int
) -> tuple[np.ndarray, np.ndarray]:
    given = np.ascontiguousarray(points, np.float64)
    labels, core = np.full(len(given), -7, np.int32), np.ones(len(given), np.bool_)
    numbers = (len(given), float(eps), int(min_samples), border)
    call(library(), f"dbscan_on_{where}", given, *numbers, labels, core)
    return labels, core


def assert_as_on_the_cpu(
    points: np.ndarray, eps: float, min_samples: int, name: str = "", borders: Any = BORDERS
) -> np.ndarray:
    """The labels of the last border rule."""
    for border in borders:
        expected = dbscan("cpu", points, eps, min_samples, border)
        found = dbscan("device", points, eps, min_samples, border)
        np.testing.assert_array_equal(found[0], expected[0], f"{name}, border {border}")
        np.testing.assert_array_equal(found[1], expected[1], f"{name}, border {border}")
    return found[0]


@pytest.mark.parametrize("part", range(3))
def test_as_on_the_cpu(part: int) -> None:
    set_schedule(library(), Schedule())
    sizes = (1, 7, 60, 150, 300)
    for number, case in enumerate(point_cases(42, sizes, seed=100 + part)):
        borders = ((number // 7 + part) % 4,)
        assert_as_on_the_cpu(case.points, case.eps, case.min_samples, case.name, borders)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_every_schedule(schedule: Schedule) -> None:
    set_schedule(library(), schedule)
    if ACTIVE_SANITIZER:
        points = np.random.default_rng(3).uniform(0, 4, (60, 2))
        assert_as_on_the_cpu(points, 0.6, 4, borders=(2,))
        return
    for case in point_cases(7, (300, 600), seed=3):
        assert_as_on_the_cpu(case.points, case.eps, 4, case.name, (0, 2))


def test_several_tiles() -> None:
    """More points than a tile of the sort holds, in clusters with borders."""
    set_schedule(library(), SCHEDULES[3])
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 40, (5000, 2))
    assert assert_as_on_the_cpu(points, 0.8, 7).max() > 3


def test_what_is_not_finite_is_noise() -> None:
    set_schedule(library(), Schedule())
    points = np.random.default_rng(1).uniform(0, 5, (90, 2))
    points[3, 0], points[7, 1], points[11], points[50, 0] = np.nan, np.inf, -np.inf, -np.nan
    labels = assert_as_on_the_cpu(points, 1.0, 3)
    assert labels[[3, 7, 11, 50]].tolist() == [-1] * 4
    assert_as_on_the_cpu(np.full((5, 2), np.nan), 1.0, 1)
    assert_as_on_the_cpu(np.zeros((0, 2)), 1.0, 1)


def test_extremes() -> None:
    """Outliers take no precision from the others; sizes from the smallest to the largest."""
    set_schedule(library(), Schedule())
    rng = np.random.default_rng(2)
    near = rng.normal(0, 3, (150, 2))
    far = np.array([[1e30, -1e30], [1e300, 1e300], [-1e300, 0.0], [1e12, 1e12]])
    for points in (np.concatenate([near, far]), np.concatenate([near, near + 1e10])):
        assert_as_on_the_cpu(points, 0.7, 4)
    assert_as_on_the_cpu(near * 1e-148, 1e-148, 4)
    assert_as_on_the_cpu(near * 1e148, 1e148, 4)
    assert_as_on_the_cpu(near, 1e150, 4)
    assert_as_on_the_cpu(near, 1e-150, 1)
    assert_as_on_the_cpu(np.array([[0.0, -0.0], [-0.0, 0.0], [0.0, 0.0]]), 1e-150, 3)


@pytest.mark.parametrize(("distance", "nearest"), [(1.0, 0), (0.9, 1)])
def test_where_border_points_go(distance: float, nearest: int) -> None:
    """Point 0 has a core point of each of two clusters in reach; of equal distances the first."""
    set_schedule(library(), Schedule())
    x = np.array([0, 1, 1.5, 1.5, 1.5, *(-distance - np.array([0, 0.5, 0.5, 0.5]))])
    points = np.stack([x, np.zeros(9)], axis=1)
    for border, label in enumerate((0, -1, nearest, -1)):
        labels, core = dbscan("device", points, 1, 4, border)
        assert labels.tolist() == [label, 0, 0, 0, 0, 1, 1, 1, 1]
        assert core.tolist() == [False] + [True] * 8


def test_adversarial_load_is_bounded() -> None:
    """Point by point, each of these would take some minutes."""
    if ACTIVE_SANITIZER:
        pytest.skip("too many threads for a sanitizer")
    set_schedule(library(), Schedule())
    rng = np.random.default_rng(4)
    count = 20000
    same = np.full((count, 2), 3.7)
    dense = rng.uniform(0, 0.1, (count, 2))
    apart = np.concatenate([dense[: count // 2], dense[: count // 2] + np.array([1.1 + 1e-9, 0])])
    assert_as_on_the_cpu(same, 1.0, 5, "one place", (0,))
    assert_as_on_the_cpu(same, 1.0, count + 1, "one place, none core", (0,))
    assert_as_on_the_cpu(apart, 1.0, 5, "just beyond eps", (0,))
    assert_as_on_the_cpu(dense, 100.0, count // 2, "huge eps", (0,))
    beside = np.concatenate([same, rng.uniform(2, 5, (200, 2))])
    assert_as_on_the_cpu(beside, 0.5, 300, "sparse beside dense", (2,))


def test_memory() -> None:
    for count in (100_000, 2_000_000, 2**24 + 1, 2**30):
        size = np.zeros(1, np.int64)
        call(library(), "dbscan_bytes", count, size)
        assert size[0] <= 85 * count + 8192


@pytest.mark.parametrize("sanitizer", SANITIZERS)
def test_under_sanitizers(sanitizer: str) -> None:
    if ACTIVE_SANITIZER:
        pytest.skip("runs under one already")
    run_tests_sanitized(__file__, sanitizer, "every_schedule")
