"""``torch.ops.mtl_cuda.argmax_upsampled``: schema, CPU and CUDA kernels, fake kernel.

A result that was not asked for comes back without an element. There is no gradient: classes are
integers, and the probability and the entropy are for measuring, not for training.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mtl_cuda.native import cuda_library, current_stream, library, view
from mtl_cuda.ops.library import LIBRARY

LIBRARY.define(
    "argmax_upsampled(Tensor logits, SymInt height, SymInt width, bool align_corners, "
    "ScalarType dtype, bool probability, bool entropy) -> (Tensor classes, Tensor probability, "
    "Tensor entropy)"
)

Results = tuple[Tensor, Tensor, Tensor]


def _allocate(
    logits: Tensor,
    height: int,
    width: int,
    align_corners: bool,
    dtype: torch.dtype,
    probability: bool,
    entropy: bool,
) -> Results:
    """The results, not filled in."""
    shape = (logits.shape[0], height, width)
    real = torch.float64 if logits.dtype == torch.float64 else torch.float32
    return (
        logits.new_empty(shape, dtype=dtype),
        logits.new_empty(shape if probability else 0, dtype=real),
        logits.new_empty(shape if entropy else 0, dtype=real),
    )


def _native_task(native: Any, logits: Tensor, results: Results, align_corners: bool) -> Any:
    classes, *others = (view(result) if result.dim() == 3 else None for result in results)
    return native.ArgmaxTask(view(logits), classes, *others, align_corners)


@torch.library.impl("mtl_cuda::argmax_upsampled", "CPU", lib=LIBRARY)
def _argmax_upsampled_cpu(
    logits: Tensor,
    height: int,
    width: int,
    align_corners: bool,
    dtype: torch.dtype,
    probability: bool,
    entropy: bool,
) -> Results:
    results = _allocate(logits, height, width, align_corners, dtype, probability, entropy)
    native = library()
    task = _native_task(native, logits, results, align_corners)
    native.argmax_upsampled_cpu(task, torch.get_num_threads())
    return results


@torch.library.impl("mtl_cuda::argmax_upsampled", "CUDA", lib=LIBRARY)
def _argmax_upsampled_cuda(
    logits: Tensor,
    height: int,
    width: int,
    align_corners: bool,
    dtype: torch.dtype,
    probability: bool,
    entropy: bool,
) -> Results:
    results = _allocate(logits, height, width, align_corners, dtype, probability, entropy)
    native = cuda_library()
    with torch.cuda.device(logits.device):
        task = _native_task(native, logits, results, align_corners)
        native.argmax_upsampled_cuda(task, current_stream())
    return results


torch.library.register_fake("mtl_cuda::argmax_upsampled", _allocate, lib=LIBRARY)
