"""The door to the native library: importing this never fails, using it without a library does."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor

_library: ModuleType | None = None
_reason = ""
try:
    _library = importlib.import_module("mtl_cuda._native")
except ImportError as error:
    _reason = str(error)
    if (Path(__file__).parents[1] / "pyproject.toml").exists():
        _reason += (
            "; this is the source folder, which hides an installed mtl_cuda: run from another "
            "folder, or `mtl-cuda` instead of `python -m mtl_cuda`"
        )


def missing_reason() -> str:
    """Why the native library is not loaded; empty where it is."""
    return _reason


def library() -> ModuleType:
    """The native library.

    Raises:
        ImportError: it was not built, or does not load here.
    """
    if _library is None:
        raise ImportError(
            f"mtl_cuda's native library is not loaded ({_reason}): install the package with "
            "`pip install .` from its source folder (a C++17 compiler is needed), or use the "
            "slow twins in mtl_cuda.reference"
        )
    return _library


@cache
def cuda_library() -> ModuleType:
    """The native library, with CUDA kernels.

    Raises:
        ImportError: it is not loaded.
        NotImplementedError: it was built without CUDA.
    """
    loaded = library()
    if not loaded.build_info()["cuda"]:
        raise NotImplementedError(
            "this mtl_cuda was built without CUDA kernels: install the CUDA toolkit (or set "
            "CUDACXX to its nvcc) and install mtl_cuda again, or move the tensors to the CPU"
        )
    return loaded


def current_stream() -> int:
    """The current stream of the current device, as the native core takes it."""
    return torch.cuda.current_stream().cuda_stream


# The codes of csrc/common/tensor_view.h.
_DTYPE_CODES = {
    torch.float32: 0,
    torch.float16: 1,
    torch.bfloat16: 2,
    torch.float64: 3,
    torch.uint8: 4,
    torch.int16: 5,
    torch.int32: 6,
    torch.int64: 7,
    torch.bool: 8,
}

View = tuple[int, int, Sequence[int], Sequence[int]]


def view(tensor: Tensor) -> View:
    """A tensor as the native core takes it: address, dtype code, sizes, strides in elements."""
    return tensor.data_ptr(), _DTYPE_CODES[tensor.dtype], tensor.shape, tensor.stride()


def optional_view(tensor: Tensor | None) -> View | None:
    """The view of a tensor that may be absent."""
    return None if tensor is None else view(tensor)


def address(vector: Tensor, index: int) -> int:
    """Where an element of a vector of any stride lies."""
    offset: int = index * vector.stride(0) * vector.element_size()
    return vector.data_ptr() + offset
