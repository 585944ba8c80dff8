"""The kernel that scales a stored gradient, run on the CPU; also under sanitizers."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from simt_harness import (
    ACTIVE_SANITIZER,
    SANITIZERS,
    Schedule,
    call,
    require_simt,
    run_tests_sanitized,
    set_schedule,
)
from simt_loss import build_loss

require_simt()


@pytest.fixture(scope="module")
def library() -> ctypes.CDLL:
    return build_loss()


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
@pytest.mark.parametrize("first", [0, 1, 8])
@pytest.mark.parametrize("count", [1, 7, 16, 1003])
def test_scaling_a_gradient(library: ctypes.CDLL, dtype: str, first: int, count: int) -> None:
    set_schedule(library, Schedule("reverse"))
    memory = np.arange(first + count, dtype=dtype)
    code = {"float32": 0, "float16": 1, "float64": 3}[dtype]
    call(library, "scale_gradient", memory[first:], code, count, np.array([0.3]))
    expected = np.arange(first + count, dtype=dtype)
    expected[first:] = (expected[first:] * (np.float64 if code == 3 else np.float32)(0.3)).astype(
        dtype
    )
    np.testing.assert_array_equal(memory, expected)


def test_scaling_by_one_touches_nothing(library: ctypes.CDLL) -> None:
    gradient = np.full(1000, 0x7FA00000, np.uint32)  # signalling NaN: arithmetic makes it quiet
    call(library, "scale_gradient", gradient, 0, gradient.size, np.array([1.0]))
    assert (gradient == 0x7FA00000).all()


@pytest.mark.skipif(ACTIVE_SANITIZER is not None, reason="runs under it already")
@pytest.mark.parametrize("sanitizer", SANITIZERS)
def test_under_sanitizers(sanitizer: str) -> None:
    run_tests_sanitized(__file__, sanitizer, "scaling")
