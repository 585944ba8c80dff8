"""Small kernels in the SIMT harness: right under every schedule, and the same bits."""

from __future__ import annotations

import ctypes
import mmap

import numpy as np
import pytest
from simt_harness import (
    ACTIVE_SANITIZER,
    SANITIZERS,
    SCHEDULES,
    TESTS_NATIVE,
    Schedule,
    SimtError,
    build_simt_library,
    call,
    require_simt,
    run_tests_sanitized,
    set_schedule,
)

require_simt()
SAMPLES = TESTS_NATIVE / "samples"
# Around a warp, a block of 128 threads and several blocks.
SIZES = (1, 31, 32, 33, 127, 128, 129, 1000, 5003)


@pytest.fixture(scope="module")
def library() -> ctypes.CDLL:
    return build_simt_library([SAMPLES / "sample.cu", SAMPLES / "sample_entry.cpp"])


@pytest.mark.parametrize("n", SIZES)
def test_sum_is_right_and_bitwise_the_same_in_every_order(library: ctypes.CDLL, n: int) -> None:
    x = np.random.default_rng(n).random(n, np.float32)
    totals = []
    for schedule in SCHEDULES:
        set_schedule(library, schedule)
        scratch = np.full(4097, np.nan, np.float32)
        total = np.full(1, np.nan, np.float32)
        call(library, "sample_sum", x, n, scratch, total)
        totals.append(total[0])
    assert totals[0] == pytest.approx(x.sum(dtype=np.float64), rel=1e-6)
    assert len({total.tobytes() for total in totals}) == 1


@pytest.mark.parametrize("n", [0, *SIZES])
def test_scale_writes_each_value_and_no_other(library: ctypes.CDLL, n: int) -> None:
    x = np.arange(n, dtype=np.float32)
    for schedule in SCHEDULES:
        set_schedule(library, schedule)
        y = np.full(n, np.nan, np.float32)
        call(library, "sample_scale", x, 2.0, y, n)
        np.testing.assert_array_equal(y, 2 * x)


@pytest.mark.parametrize("bins", [1, 10, 200])
def test_histogram_counts_in_dynamic_shared_memory(library: ctypes.CDLL, bins: int) -> None:
    x = np.random.default_rng(0).integers(0, 200, 3001).astype(np.uint8)
    for schedule in SCHEDULES:
        set_schedule(library, schedule)
        counts = np.zeros(bins, np.uint32)
        call(library, "sample_histogram", x, x.size, counts, bins)
        np.testing.assert_array_equal(counts, np.bincount(x, minlength=256)[:bins])


def test_a_refused_launch_throws_what_cuda_says(library: ctypes.CDLL) -> None:
    x = np.zeros(1, np.uint8)
    with pytest.raises(SimtError, match=r"shared memory: invalid argument"):
        call(library, "sample_histogram", x, 1, np.zeros(20000, np.uint32), 20000)


def test_an_empty_input_launches_nothing(library: ctypes.CDLL) -> None:
    before = library.simt_launches()
    call(library, "sample_scale", None, 2.0, None, 0)
    assert library.simt_launches() == before
    call(library, "sample_scale", np.zeros(4, np.float32), 2.0, np.zeros(4, np.float32), 4)
    assert library.simt_launches() == before + 1


@pytest.mark.skipif(ACTIVE_SANITIZER is not None, reason="a sanitizer shadows the whole mapping")
def test_indices_pass_2_to_the_32(library: ctypes.CDLL) -> None:
    """The last block of a launch over 4 GiB that are mapped, but never filled."""
    stride = 4096 * 128  # one round of the grid
    n = (1 << 32) + stride
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0x4000)
    x = np.frombuffer(mmap.mmap(-1, n, flags=flags), np.uint8)
    x[-128:] = 3
    counts = np.zeros(4, np.uint32)
    set_schedule(library, Schedule(last_blocks=1))
    call(library, "sample_histogram", x, n, counts, 4)
    assert counts.tolist() == [n // stride * 128 - 128, 0, 0, 128]


@pytest.mark.skipif(ACTIVE_SANITIZER is not None, reason="runs under a sanitizer already")
@pytest.mark.parametrize("sanitizer", SANITIZERS)
def test_nothing_to_report_for_sanitizers(sanitizer: str) -> None:
    run_tests_sanitized(__file__, sanitizer)
