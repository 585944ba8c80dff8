"""The CUDA clustering of instances on the CPU: under every schedule, as the CPU's own code."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from simt_harness import (
    ACTIVE_SANITIZER,
    CSRC,
    SANITIZERS,
    SCHEDULES,
    TESTS_NATIVE,
    SimtError,
    build_simt_library,
    call,
    require_simt,
    run_tests_sanitized,
    set_schedule,
)
from simt_loss import Array

require_simt()

SOURCES = (
    TESTS_NATIVE / "cluster/cluster_entry.cpp",
    CSRC / "cluster/cuda/cluster_instances.cu",
    CSRC / "cluster/cpu/cluster_instances.cpp",
    CSRC / "cluster/cpu/dbscan.cpp",
    CSRC / "cluster/cpu/grid.cpp",
    CSRC / "common/parallel.cpp",
)
BORDERS = ("dbscan", "optics", "nearest", "none")
ROWS = 16384
NAMES = ("ids", "found", "classes", "centroids", "pixels", "scores")


@functools.cache
def library() -> Any:
    return build_simt_library(SOURCES)


def cluster(
    where: str,
    offsets: np.ndarray,
    semantic: np.ndarray,
    probabilities: np.ndarray | None = None,
    *,
    eps: float = 1.0,
    min_samples: int = 3,
    border: str = "dbscan",
    cells_per_pixel: int = 1,
    margin: float = 0.0,
    max_distance: float = float("inf"),
    min_pixels: int = 1,
    class_agnostic: bool = False,
    classes: tuple[int, ...] = (11, 13),
    method: int = 0,
) -> dict[str, np.ndarray]:
    """Ids and tables, rows beyond those found cut off."""
    batch, height, width = semantic.shape
    views = [Array.of(offsets).numbers(), Array.of(semantic).numbers()]
    views.append(Array.of(probabilities).numbers() if probabilities is not None else [0] * 10)
    integers = [method, min_samples, BORDERS.index(border), cells_per_pixel, min_pixels]
    integers += [int(class_agnostic), len(classes), *classes]
    results = [
        np.zeros((batch, height, width), np.int32),
        np.zeros(batch, np.int32),
        np.zeros((batch, ROWS), np.int64),
        np.zeros((batch, ROWS, 2), np.float32),
        np.zeros((batch, ROWS), np.int64),
        np.zeros((batch, ROWS), np.float32),
    ]
    call(
        library(),
        f"cluster_on_{where}",
        np.array(views, np.int64).ravel(),
        np.array(integers, np.int64),
        np.array([eps, margin, max_distance]),
        *results,
    )
    return dict(zip(NAMES, results))


def votes(seed: int, height: int = 9, width: int = 13) -> tuple[np.ndarray, ...]:
    """Offsets towards three centres, some bad; classes in no order; probabilities."""
    rng = np.random.default_rng(seed)
    shape = (2, height, width)
    centres = rng.uniform(0, 1, (3, 2)) * [width, height]
    pixels = np.stack(np.meshgrid(np.arange(width), np.arange(height)))
    towards = np.moveaxis(centres[rng.integers(0, 3, shape)], -1, 1)
    offsets = towards - pixels + rng.normal(0, 1.0, (2, *shape[:1], *shape[1:])).swapaxes(0, 1)
    bad = rng.random(offsets.shape)
    offsets[bad < 0.02] = np.nan
    offsets[(bad > 0.02) & (bad < 0.03)] = np.inf
    offsets[(bad > 0.03) & (bad < 0.05)] *= 30
    semantic = rng.choice([11, 13, 7, 255], shape, p=[0.5, 0.3, 0.1, 0.1])
    probabilities = rng.random((2, 14, height, width))
    return offsets.astype(np.float32), semantic, probabilities.astype(np.float32)


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    for name in NAMES:
        np.testing.assert_array_equal(found[name], expected[name], name)


CASES: tuple[dict[str, Any], ...] = (
    {},
    {"eps": 2.0, "min_samples": 6, "border": "optics"},
    {"eps": 5**0.5, "min_samples": 9, "border": "nearest", "cells_per_pixel": 2},
    {"eps": 1.5, "min_samples": 5, "border": "none", "margin": 3.0},
    {"min_samples": 1, "cells_per_pixel": 3, "max_distance": 1.5},
    {"eps": 100.0, "min_samples": 20},
    {"eps": 0.25, "min_samples": 2, "border": "nearest"},
    {"eps": 1.5, "min_samples": 4, "class_agnostic": True, "min_pixels": 5},
)


@pytest.mark.parametrize("case", range(len(CASES)))
def test_as_on_the_cpu(case: int) -> None:
    for seed in range(1 if ACTIVE_SANITIZER else 4):
        inputs = votes(10 * case + seed)
        expected = cluster("cpu", *inputs, **CASES[case])
        for schedule in SCHEDULES if seed == 0 else SCHEDULES[:1]:
            set_schedule(library(), schedule)
            assert_same(cluster("device", *inputs, **CASES[case]), expected)


def test_types_and_strides() -> None:
    set_schedule(library(), SCHEDULES[0])
    offsets, semantic, _ = votes(1)
    expected = cluster("cpu", offsets, semantic)
    for labels in (np.uint8, np.int16, np.int32):
        turned = np.ascontiguousarray(semantic.astype(labels).swapaxes(1, 2)).swapaxes(1, 2)
        last = np.ascontiguousarray(np.moveaxis(offsets, 1, 3).astype(np.float64))
        assert_same(cluster("device", np.moveaxis(last, 3, 1), turned), expected)


def test_of_two_centres_at_one_distance_the_first_gets_the_pixel() -> None:
    set_schedule(library(), SCHEDULES[0])
    offsets = np.zeros((1, 2, 1, 9), np.float32)
    offsets[0, 0, 0] = np.array([1, 1, 1, 4, 4, 7, 7, 7, 7]) - np.arange(9)
    offsets[0, 0, 0, 4] = np.nan
    semantic = np.full((1, 1, 9), 11)
    for where in ("cpu", "device"):
        found = cluster(where, offsets, semantic)
        assert found["ids"].ravel().tolist() == [1, 1, 1, 1, 0, 2, 2, 2, 2]


def test_more_clusters_than_rows_are_counted_and_dropped() -> None:
    """Each pixel a cluster of its own: 130 x 130 of them."""
    if ACTIVE_SANITIZER:
        pytest.skip("too many threads for a sanitizer")
    set_schedule(library(), SCHEDULES[0])
    offsets = np.zeros((1, 2, 130, 130), np.float32)
    semantic = np.full((1, 130, 130), 11)
    found = cluster("device", offsets, semantic, eps=0.5, min_samples=1)
    assert found["found"].tolist() == [-16900]
    assert not found["ids"].any()


def test_a_cluster_of_more_cells_than_rows_is_one() -> None:
    """Only the first voter of a cluster opens a row for it, not that of each of its cells."""
    if ACTIVE_SANITIZER:
        pytest.skip("too many threads for a sanitizer")
    set_schedule(library(), SCHEDULES[0])
    offsets = np.zeros((1, 2, 130, 130), np.float32)
    found = cluster("device", offsets, np.full((1, 130, 130), 11), min_samples=1)
    assert found["found"].tolist() == [1]
    assert (found["ids"] == 1).all()


def test_nothing_to_find() -> None:
    set_schedule(library(), SCHEDULES[0])
    offsets, semantic, _ = votes(2)
    assert not cluster("device", offsets, semantic, classes=(3,))["ids"].any()
    assert not cluster("device", offsets, semantic, classes=())["ids"].any()
    assert not cluster("device", np.full_like(offsets, np.nan), semantic)["ids"].any()
    empty = cluster("device", offsets[:, :, :0], semantic[:, :0])
    assert empty["found"].tolist() == [0, 0]


def test_refused() -> None:
    offsets, semantic, _ = votes(3)
    with pytest.raises(SimtError, match="only 'density'"):
        cluster("device", offsets, semantic, method=1)
    with pytest.raises(SimtError, match="at most 32"):
        cluster("device", offsets, semantic, classes=tuple(range(33)))


@pytest.mark.parametrize("sanitizer", SANITIZERS)
def test_under_sanitizers(sanitizer: str) -> None:
    if ACTIVE_SANITIZER:
        pytest.skip("runs under one already")
    run_tests_sanitized(__file__, sanitizer, "as_on_the_cpu or strides")
