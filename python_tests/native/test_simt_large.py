"""The loss kernels beyond 2^32 elements: the last block of a grid, over memory that is mapped and
hardly touched.

One image of more than 2^32 pixels, and two images more than 2^32 elements apart. All is zero but
the last pixels, which the last block of every kernel has.
"""

from __future__ import annotations

import ctypes
import mmap

import numpy as np
import pytest
from simt_harness import ACTIVE_SANITIZER, Schedule, require_simt, set_schedule
from simt_loss import Array, SimtResult, SimtTask, build_loss, run_loss

require_simt()
if ACTIVE_SANITIZER is not None:
    pytest.skip("a sanitizer shadows the whole mapping", allow_module_level=True)

WIDTH = 1 << 16
# Each grid takes these in whole turns: its last block ends with the last pixel.
SHAPES = {"pixels": (1, (1 << 16) + 512), "images": (2, (1 << 15) + 512)}
TAIL = 256  # pixels: what the last block of every kernel takes at least
CODES = {"float32": 0, "float16": 1, "float64": 3, "uint8": 4}
both_shapes = pytest.mark.parametrize("shape", SHAPES)


@pytest.fixture(scope="module")
def library() -> ctypes.CDLL:
    return build_loss()


class Huge:
    """A tensor [B,C,H,W] of zeros, its last image, and its last TAIL pixels [C,TAIL]."""

    def __init__(
        self,
        shape: str | tuple[int, int],
        channels: int,
        dtype: str,
        channels_last: bool = False,
        width: int = WIDTH,
    ) -> None:
        batch, height = SHAPES[shape] if isinstance(shape, str) else shape
        pixels, item = height * width, np.dtype(dtype).itemsize
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0x4000)
        memory = mmap.mmap(-1, batch * channels * pixels * item, flags=flags)
        memory.madvise(mmap.MADV_NOHUGEPAGE)  # else each page that is written takes 2 MiB
        flat = np.frombuffer(memory, dtype)
        image = flat[-channels * pixels :]
        if channels_last:
            strides = (channels * pixels, 1, width * channels, channels)
            self.tail = image[-channels * TAIL :].reshape(TAIL, channels).T
        else:
            strides = (channels * pixels, pixels, width, 1)
            self.tail = image.reshape(channels, pixels)[:, -TAIL:]
            self.image = image.reshape(channels, height, width)
        sizes = (batch, channels, height, width)
        self.array = Array(flat.ctypes.data, CODES[dtype], sizes, strides, memory)


def _run(library: ctypes.CDLL, task: SimtTask, last_blocks: int = 1) -> SimtResult:
    set_schedule(library, Schedule(last_blocks=last_blocks))
    return run_loss(library, [task], in_double=True)


@both_shapes
@pytest.mark.parametrize(
    ("kernel", "dtype"),
    [("vector", "float32"), ("vector", "float16"), ("staged", "float32"), ("general", "float64")],
)
def test_cross_entropy(library: ctypes.CDLL, shape: str, kernel: str, dtype: str) -> None:
    rng = np.random.default_rng(0)
    logits = Huge(shape, 2, dtype, channels_last=kernel == "staged")
    gradient = Huge(shape, 2, dtype, channels_last=kernel == "staged")
    labels = Huge(shape, 1, "uint8")
    logits.tail[...] = rng.normal(size=(2, TAIL))
    labels.tail[...] = rng.choice([0, 1, 255], TAIL)
    task = SimtTask("cross_entropy", "fixed", logits.array, labels.array, gradient=gradient.array)
    result = _run(library, task)
    exponentials = np.exp(logits.tail.astype(np.float64))
    expected = exponentials / exponentials.sum(axis=0) - (np.arange(2)[:, None] == labels.tail)
    expected *= labels.tail != 255
    given = gradient.tail.astype(np.float64) * result.valid[0] / result.gradient_scales[0]
    tolerance = 2e-3 if dtype == "float16" else 2e-6
    np.testing.assert_allclose(given, expected, rtol=tolerance, atol=tolerance)


@both_shapes
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("channels", [1, 2])
def test_l1(library: ctypes.CDLL, shape: str, channels_last: bool, channels: int) -> None:
    rng = np.random.default_rng(0)
    prediction = Huge(shape, channels, "float32", channels_last)
    gradient = Huge(shape, channels, "float32", channels_last)
    target = Huge(shape, channels, "float32")
    mask = Huge(shape, 1, "uint8")
    prediction.tail[...] = rng.normal(size=(channels, TAIL))
    target.tail[...] = rng.normal(size=(channels, TAIL))
    mask.tail[...] = rng.random(TAIL) < 0.7
    task = SimtTask("l1", "fixed", prediction.array, target.array, gradient=gradient.array)
    task.mask = mask.array
    result = _run(library, task)
    slope = result.gradient_scales[0] / result.valid[0]
    expected = np.sign(prediction.tail - target.tail) * mask.tail * slope
    np.testing.assert_allclose(gradient.tail, expected, rtol=1e-6)
    assert result.valid[0] == mask.tail.sum()


@both_shapes
@pytest.mark.parametrize("channels_last", [False, True])
def test_offsets(library: ctypes.CDLL, shape: str, channels_last: bool) -> None:
    prediction = Huge(shape, 2, "float32", channels_last)
    gradient = Huge(shape, 2, "float32", channels_last)
    ids = Huge(shape, 1, "uint8")
    columns = np.arange(WIDTH - TAIL, WIDTH)
    ids.tail[...] = 1
    to_centroid = np.stack([columns.mean() - columns, np.zeros(TAIL)])
    error = np.random.default_rng(0).choice([-0.25, 0.25], (2, TAIL))
    prediction.tail[...] = to_centroid + error
    task = SimtTask(
        "instance_offset", "fixed", prediction.array, ids.array, gradient=gradient.array
    )
    # One block of centroids per part of the ids and image, and the one that prepares.
    result = _run(library, task, last_blocks=1 + 4 * SHAPES[shape][0])
    assert result.valid[0] == TAIL
    expected = np.sign(error) * result.gradient_scales[0] / TAIL
    np.testing.assert_allclose(gradient.tail, expected, rtol=1e-6)


def _weights(target: int, prediction: int, count: int) -> np.ndarray:
    """Bilinear weights [last `count` of the target, last `count` / 8 of the prediction]."""
    source = (np.arange(target - count, target) + 0.5) / 8 - 0.5
    distance = np.abs(source[:, None] - np.arange(prediction - count // 8, prediction))
    weights = np.maximum(0, 1 - distance)
    weights[source > prediction - 1, -1] = 1
    return weights


@pytest.mark.parametrize("shape", [(1, 1040), (2, 528)], ids=["pixels", "images"])
def test_low_resolution(library: ctypes.CDLL, shape: tuple[int, int]) -> None:
    """One eighth of more than 2^32 target pixels. The grids end with the last part and pixel."""
    (batch, height), width, count = shape, 1 << 16, 64
    prediction = Huge(shape, 1, "float32", width=width)
    gradient = Huge(shape, 1, "float32", width=width)
    target = Huge((batch, 8 * height), 1, "float32", width=8 * width)
    rng = np.random.default_rng(0)
    values = prediction.image[0, -count // 8 :, -count // 8 :]
    values[...] = rng.normal(size=values.shape)
    truth = target.image[0, -count:, -count:]
    truth[...] = rng.normal(size=truth.shape)
    task = SimtTask("l1", "fixed", prediction.array, target.array, gradient=gradient.array)
    result = _run(library, task)
    rows = _weights(8 * height, height, count)
    columns = _weights(8 * width, width, count)
    slope = result.gradient_scales[0] / result.valid[0]
    expected = slope * rows.T @ np.sign(rows @ values @ columns.T - truth) @ columns
    # The last block writes the last row. The first column belongs to pixels beyond it, too.
    given = gradient.image[0, -1, -count // 8 :]
    np.testing.assert_allclose(given[1:], expected[-1, 1:], rtol=1e-5, atol=1e-5 * slope)
