"""The CUDA loss on the CPU: builds it for the SIMT harness and calls it with numpy arrays.

Knows nothing of torch, so that it runs under sanitizers, which torch does not. Tensors of other
libraries come as `Array`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from simt_harness import CSRC, TESTS_NATIVE, build_simt_library, call

TYPES = ("float", "half", "bfloat16", "double")
SOURCES = (
    TESTS_NATIVE / "loss/loss_entry.cpp",
    CSRC / "loss/cuda/multi_task_loss.cu",
    *(CSRC / f"loss/cuda/cross_entropy_{name}.cu" for name in TYPES),
    *(CSRC / f"loss/cuda/upsampled/{name}.cu" for name in TYPES),
)
_CODES = {"float32": 0, "float16": 1, "float64": 3, "uint8": 4, "int16": 5, "int32": 6, "int64": 7}
_CODES["bool"] = 8
KINDS = ("cross_entropy", "l1", "instance_offset")
LIKELIHOODS = ("fixed", "softmax", "scaled_softmax", "gaussian", "laplace")


@dataclass
class Array:
    """Memory as the native core takes it; `owner` keeps it alive."""

    address: int
    code: int
    shape: Sequence[int]
    strides: Sequence[int]  # in elements
    owner: object = None

    @classmethod
    def of(cls, array: np.ndarray) -> Array:
        strides = [stride // array.itemsize for stride in array.strides]
        code = _CODES[array.dtype.name]
        return cls(array.ctypes.data, code, array.shape, strides, array)

    def numbers(self) -> list[int]:
        """As loss_entry.cpp reads it: a map [B,H,W] has one channel."""
        shape, strides = list(self.shape), list(self.strides)
        if len(shape) == 3:
            shape.insert(1, 1)
            strides.insert(1, 0)
        return [self.address, self.code, *shape, *strides]


_ABSENT = [0] * 10


@dataclass
class SimtTask:
    """One task of a call."""

    kind: str
    likelihood: str
    prediction: Array
    target: Array
    mask: Array | None = None
    gradient: Array | None = None
    class_weights: np.ndarray | None = None  # float64
    ignore_index: int = 255
    log_variance: np.ndarray | None = None  # float32 or float64, one number
    label_smoothing: float = 0.0
    fixed_weight: float = 1.0
    align_corners: bool = False

    def integers(self) -> list[int]:
        maps = [self.prediction, self.target, self.mask, self.gradient]
        views = [number for m in maps for number in (m.numbers() if m else _ABSENT)]
        weights = 0 if self.class_weights is None else self.class_weights.ctypes.data
        variance = 0 if self.log_variance is None else self.log_variance.ctypes.data
        is_double = self.log_variance is not None and self.log_variance.dtype == np.float64
        codes = [KINDS.index(self.kind), LIKELIHOODS.index(self.likelihood)]
        views.append(int(self.align_corners))
        return [*codes, *views, weights, self.ignore_index, variance, int(is_double)]


@dataclass
class SimtResult:
    """What a call returns; gradients are where the tasks say."""

    total: np.ndarray
    losses: np.ndarray
    weights: np.ndarray
    log_variance_gradient: np.ndarray
    gradient_scales: np.ndarray
    valid: np.ndarray = field(repr=False)


def build_loss() -> ctypes.CDLL:
    """The library, under the sanitizer of this process."""
    return build_simt_library(SOURCES)


def run_loss(library: ctypes.CDLL, tasks: Sequence[SimtTask], in_double: bool) -> SimtResult:
    """All kernels of one forward pass, on memory full of garbage."""
    count = len(tasks)
    integers = np.array([number for task in tasks for number in task.integers()], np.int64)
    reals = np.array([[task.label_smoothing, task.fixed_weight] for task in tasks], np.float64)
    size = np.zeros(1, np.int64)
    call(library, "loss_workspace", count, integers, reals, size)
    workspace = np.full(int(size[0]) + 256, 0xA5, np.uint8)
    aligned = workspace[-workspace.ctypes.data % 256 :]
    scalar = np.float64 if in_double else np.float32
    total, losses = np.full(1, np.nan, scalar), np.full(count, np.nan, scalar)
    numbers, valid = np.full((3, count), np.nan), np.full(count, -1, np.int64)
    call(library, "loss", count, integers, reals, total, losses, int(in_double), numbers, valid,
         aligned)  # fmt: skip
    return SimtResult(total, losses, *numbers, valid)
