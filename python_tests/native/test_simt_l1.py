"""The L1 kernels, run on the CPU, on every layout: those read in packs of 16 bytes, and the rest.

Against a few lines of numpy, so that everything here also runs under sanitizers.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from simt_cases import sanitized
from simt_harness import (
    Schedule,
    require_simt,
    run_tests_sanitized,
    set_schedule,
)
from simt_loss import Array, SimtTask, build_loss, run_loss

require_simt()
# Aligned or not, whole packs or not (4 pixels of float32, 8 of float16, runs of 8 when counting).
# The last one takes the threads that count two turns.
SHAPES = (
    (1, 4, 16),
    (2, 3, 16),
    (3, 5, 7),
    (1, 1, 1),
    (2, 1, 4),
    (1, 13, 21),
    (2, 2, 150),
    (1, 1, 2408),
)
LAYOUTS = ("contiguous", "offset by one", "channels_last", "padded rows", "padded channels")


@pytest.fixture(scope="module")
def library() -> ctypes.CDLL:
    return build_loss()


def laid_out(values: np.ndarray, layout: str) -> tuple[np.ndarray, np.ndarray]:
    """Memory full of ones, and in it the numbers [B,C,H,W], aligned where the layout allows."""
    _, channels, height, width = values.shape
    pixels = height * width
    rows, planes = width, pixels
    if layout == "padded rows":
        rows, planes = width + 3, height * (width + 3)
    if layout == "padded channels":
        planes = (pixels + 15) // 8 * 8
    strides = (channels * planes, planes, rows, 1)
    if layout == "channels_last":
        strides = (channels * pixels, 1, width * channels, channels)
    start = 1 if layout == "offset by one" else 0
    size = start + sum((n - 1) * stride for n, stride in zip(values.shape, strides)) + 1
    # Not one element longer, so that a sanitizer sees what is read or written beyond.
    memory = np.ones(size, values.dtype)
    assert memory.ctypes.data % 16 == 0
    view = np.lib.stride_tricks.as_strided(
        memory[start:], values.shape, [stride * values.itemsize for stride in strides]
    )
    view[...] = values
    return memory, view


@dataclass
class L1Case:
    """One task in plain numpy, contiguous."""

    prediction: np.ndarray
    target: np.ndarray  # values [B,C,H,W], or ids [B,H,W]
    mask: np.ndarray | None = None

    def expected(self) -> tuple[np.ndarray, np.ndarray]:
        """Loss per element, and whether its pixel is valid."""
        if self.target.ndim == 4:
            target, valid = self.target, ~np.isnan(self.target).any(axis=1, keepdims=True)
        else:
            target, valid = self._offsets(), (self.target > 0)[:, None]
        if self.mask is not None:
            valid = valid & self.mask[:, None]
        valid = np.broadcast_to(valid, self.prediction.shape)
        return np.where(valid, self.prediction.astype(np.float64) - target, 0), valid

    def _offsets(self) -> np.ndarray:
        offsets = np.zeros(self.prediction.shape)
        rows, columns = np.indices(self.target.shape[1:])
        for image, ids in enumerate(self.target):
            for id_ in np.unique(ids[ids > 0]):
                inside = ids == id_
                offsets[image, 0][inside] = columns[inside].mean() - columns[inside]
                offsets[image, 1][inside] = rows[inside].mean() - rows[inside]
        return offsets

    def check(self, library: ctypes.CDLL, layouts: dict[str, str]) -> None:
        """Runs the kernels with each tensor in its layout ("contiguous" where none is named)."""

        def array(name: str, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            shaped = values if values.ndim == 4 else values[:, None]
            return laid_out(shaped, layouts.get(name, "contiguous"))

        memory, gradient = array("gradient", np.full_like(self.prediction, np.nan))
        prediction = Array.of(array("prediction", self.prediction)[1])
        target = Array.of(array("target", self.target)[1])
        kind = "l1" if self.target.ndim == 4 else "instance_offset"
        task = SimtTask(kind, "fixed", prediction, target, gradient=Array.of(gradient))
        task.mask = None if self.mask is None else Array.of(array("mask", self.mask)[1])
        task.fixed_weight = 0.5
        result = run_loss(library, [task], in_double=True)
        difference, valid = self.expected()
        pixels = int(valid[:, 0].sum())
        tolerance = {"float64": 1e-9, "float32": 2e-5, "float16": 2e-3}[self.prediction.dtype.name]
        loss = np.abs(difference).sum() / max(pixels, 1)
        np.testing.assert_allclose(result.losses[0], loss, rtol=tolerance, atol=tolerance)
        assert result.valid[0] == pixels
        slope = np.sign(difference) * result.gradient_scales[0] / max(pixels, 1)
        np.testing.assert_allclose(gradient, slope, rtol=tolerance, atol=0)
        gradient[...] = 1
        assert (memory == 1).all(), "something was written between the gradients"


def _cases(dtype: str, shape: tuple[int, int, int]) -> Iterator[L1Case]:
    rng = np.random.default_rng(5)

    def normal(channels: int) -> np.ndarray:
        return (8 * rng.normal(size=(shape[0], channels, *shape[1:]))).astype(dtype)

    for channels in (1, 3):
        for target_type in ("float32", dtype):
            target = normal(channels).astype(target_type)
            target[rng.random(target.shape) < 0.2] = np.nan
            yield L1Case(normal(channels), target, rng.random(shape) < 0.7)
            yield L1Case(normal(channels), target)
    for id_type in ("uint8", "int16", "int32", "int64"):
        ids = rng.integers(0, 4, shape) * (rng.random(shape) < 0.8)
        ids[:, :, : shape[2] // 2] = 2  # whole runs of one instance, too
        yield L1Case(normal(2), ids.astype(id_type))


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_and_shape(library: ctypes.CDLL, dtype: str, layout: str) -> None:
    set_schedule(library, Schedule("random", seed=3))
    for shape in SHAPES:
        for case in _cases(dtype, shape):
            names = ("prediction", "target", "mask", "gradient")
            case.check(library, dict.fromkeys(names, layout))


@pytest.mark.parametrize("name", ["prediction", "target", "mask", "gradient"])
def test_one_tensor_that_is_not_aligned(library: ctypes.CDLL, name: str) -> None:
    set_schedule(library, Schedule())
    for layout in LAYOUTS[1:]:
        for case in _cases("float32", (2, 3, 16)):
            case.check(library, {name: layout})


def test_ids_up_to_the_largest(library: ctypes.CDLL) -> None:
    set_schedule(library, Schedule())
    rng = np.random.default_rng(0)
    ids = rng.choice([0, 1, 1023, 1024, 1025, 5000, 65535], (2, 3, 16)).astype(np.int32)
    L1Case(rng.normal(size=(2, 2, 3, 16)).astype(np.float32), ids).check(library, {})


@pytest.mark.slow
def test_a_second_turn_of_the_threads_of_an_image(library: ctypes.CDLL) -> None:
    """64 blocks per image take 65536 pixels in a turn, which is no whole number of rows."""
    set_schedule(library, Schedule(workers=2))
    rng = np.random.default_rng(0)
    ids = np.kron(rng.integers(0, 4, (64, 10, 7)), np.ones((1, 10, 100), int)).astype(np.uint8)
    L1Case(rng.normal(size=(64, 2, 100, 700)).astype(np.float32), ids).check(library, {})


def test_for_races(library: ctypes.CDLL) -> None:
    set_schedule(library, Schedule("random", seed=2, workers=2))
    for case in list(_cases("float32", (2, 3, 16)))[1::2]:
        case.check(library, {})
    for case in list(_cases("float32", (2, 3, 5)))[::8]:
        case.check(library, {})


@sanitized
def test_under_the_race_detector() -> None:
    run_tests_sanitized(__file__, "thread", "races")


@sanitized
def test_under_the_address_sanitizer() -> None:
    run_tests_sanitized(__file__, "address,undefined", "(every_layout and float32) or one_tensor")
