"""The CUDA kernel of argmax_upsampled, run on the CPU: against the CPU op and the reference.

Numerics that only a GPU has (its exp, its fused multiply-add) are not seen here.
"""

from __future__ import annotations

import ctypes
import mmap

import numpy as np
import pytest
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
from simt_loss import Array

require_simt()
with_torch = pytest.mark.skipif(ACTIVE_SANITIZER is not None, reason="torch has no sanitizer build")
sanitized = pytest.mark.skipif(ACTIVE_SANITIZER is not None, reason="runs under it already")

# Prediction and target: whole ratios of every alignment to the blocks of eight rows, more than one
# block of columns, fractions, smaller targets, one pixel.
SIZES = [
    ((3, 4), (24, 32)),
    ((5, 3), (10, 6)),
    ((4, 5), (16, 20)),
    ((3, 3), (9, 18)),
    ((2, 20), (32, 320)),
    ((5, 7), (23, 41)),
    ((9, 12), (4, 5)),
    ((6, 7), (6, 7)),
    ((1, 1), (1, 1)),
]


@pytest.fixture(scope="module")
def library() -> ctypes.CDLL:
    sources = [TESTS_NATIVE / "argmax/argmax_entry.cpp", CSRC / "argmax/cuda/argmax_upsampled.cu"]
    return build_simt_library(sources)


def _call(library: ctypes.CDLL, views: list[Array | None], align_corners: bool) -> None:
    numbers = [number for v in views for number in (v.numbers() if v else [0] * 10)]
    call(library, "argmax_upsampled", np.array(numbers, np.int64), int(align_corners))


# -- with numpy alone: also under sanitizers -----------------------------------------------------


@pytest.mark.parametrize("classes", [1, 20, 21, 33])
@pytest.mark.parametrize("align_corners", [False, True])
def test_the_same_bits_under_every_schedule(
    library: ctypes.CDLL, classes: int, align_corners: bool
) -> None:
    logits = np.random.default_rng(1).normal(size=(2, 3, 40, classes)).astype(np.float32)
    logits = logits.transpose(0, 3, 1, 2)
    outcomes = set()
    schedules = SCHEDULES[-1:] if ACTIVE_SANITIZER == "thread" else SCHEDULES
    for schedule in schedules:
        set_schedule(library, schedule)
        results = [np.full((2, 12, 160), np.nan, np.float32) for _ in range(2)]
        found = np.full((2, 12, 160), 77, np.uint8)
        views = [Array.of(array) for array in (logits, found, *results)]
        _call(library, views, align_corners)
        assert found.max() < classes
        assert all(np.isfinite(result).all() for result in results)
        outcomes.add(b"".join(array.tobytes() for array in (found, *results)))
    assert len(outcomes) == 1


@sanitized
@pytest.mark.parametrize("sanitizer", SANITIZERS)
def test_under_sanitizers(sanitizer: str) -> None:
    run_tests_sanitized(__file__, sanitizer, "same_bits")


def test_results_beyond_2_to_32_elements(library: ctypes.CDLL) -> None:
    """The end of 2**32 classes; the memory before it is never touched."""
    height, width = 2**16 + 8, 2**16
    memory = mmap.mmap(-1, height * width, flags=mmap.MAP_PRIVATE | 0x4000)  # MAP_NORESERVE
    found = np.frombuffer(memory, np.uint8).reshape(1, height, width)
    logits = np.zeros((1, 2, 2, 2), np.float32)
    logits[0, 1, :, 1] = 1  # wins wherever it counts: everywhere but in the left quarter
    set_schedule(library, Schedule(last_blocks=2))
    _call(library, [Array.of(logits), Array.of(found), None, None], False)
    assert found[0, -1, -256:].all()
    assert not found[0, 0, -256:].any()


# -- against the op on the CPU -------------------------------------------------------------------


def _compare(
    library: ctypes.CDLL,
    logits: object,
    size: tuple[int, int],
    align_corners: bool = False,
    dtype: str = "uint8",
) -> None:
    import torch

    from mtl_cuda.functional import argmax_upsampled
    from mtl_cuda.native import view

    assert isinstance(logits, torch.Tensor)
    given = argmax_upsampled(
        logits,
        size,
        align_corners,
        dtype=getattr(torch, dtype),
        probability=True,
        entropy=True,
    )
    results = [torch.zeros_like(result) for result in given]
    set_schedule(library, Schedule("random", seed=7, workers=2))
    views: list[Array | None] = []
    for tensor in (logits, *results):
        address, code, shape, strides = view(tensor)
        views.append(Array(address, code, shape, strides, tensor))
    _call(library, views, align_corners)
    assert torch.equal(results[0], given.classes)
    tolerance = 1e-12 if logits.dtype == torch.float64 else 4e-6
    for mine, theirs in zip(results[1:], given[1:]):
        torch.testing.assert_close(mine, theirs, rtol=tolerance, atol=tolerance, equal_nan=True)

    alone = torch.full_like(results[0], 99)
    _call(library, [views[0], Array(*view(alone), alone), None, None], align_corners)
    assert torch.equal(alone, given.classes)


@with_torch
@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(("low", "full"), SIZES)
def test_every_geometry(
    library: ctypes.CDLL, low: tuple[int, int], full: tuple[int, int], align_corners: bool
) -> None:
    import torch

    logits = torch.randn(2, 7, *low, generator=torch.Generator().manual_seed(2))
    _compare(library, logits, full, align_corners)


@with_torch
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize("classes", [1, 19, 20, 21, 32, 33, 300])
def test_every_type_and_number_of_classes(library: ctypes.CDLL, dtype: str, classes: int) -> None:
    import torch

    logits = torch.randn(1, classes, 3, 5, generator=torch.Generator().manual_seed(3))
    _compare(library, logits.to(getattr(torch, dtype)), (12, 20), dtype="int64")


@with_torch
@pytest.mark.parametrize("layout", ["channels_last", "transposed", "expanded", "sliced"])
def test_layouts(library: ctypes.CDLL, layout: str) -> None:
    import torch
    from loss_cases import with_layout

    logits = torch.randn(2, 5, 3, 10, generator=torch.Generator().manual_seed(4))
    _compare(library, with_layout(logits, layout), (12, 40))


@with_torch
@pytest.mark.parametrize("classes", [5, 40])
def test_ties_and_what_is_no_number(library: ctypes.CDLL, classes: int) -> None:
    import torch

    _compare(library, torch.zeros(1, classes, 2, 3), (16, 24))
    logits = torch.randn(1, classes, 4, 6, generator=torch.Generator().manual_seed(5))
    for place, bad in enumerate([torch.nan, torch.inf, -torch.inf]):
        logits[0, place + 1, place, place + 1] = bad
    logits[0, :, 3, 5] = -torch.inf
    _compare(library, logits, (32, 48))
    _compare(library, logits, (31, 47))
