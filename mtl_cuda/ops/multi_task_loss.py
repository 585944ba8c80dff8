"""``torch.ops.mtl_cuda.multi_task_loss``: schema and kernels for the CPU, CUDA and fake tensors.

The op is functional: it returns the loss and, for the predictions that ask for it, the gradients
that the same pass over the memory has made; :mod:`mtl_cuda.ops.loss_autograd` hands them to
autograd. Entry i of every list belongs to task i. ``tasks`` is the text that
:mod:`mtl_cuda.ops.loss_tasks` writes; ``weights`` is empty where there are log-variances.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mtl_cuda.native import cuda_library, current_stream, library, optional_view, view
from mtl_cuda.ops.bad_label import bad_label_error
from mtl_cuda.ops.library import LIBRARY
from mtl_cuda.ops.loss_tasks import native_tasks, read_tasks

LIBRARY.define(
    "multi_task_loss(Tensor[] predictions, Tensor[] targets, Tensor?[] masks, "
    "Tensor? log_variances, float[] weights, str tasks, bool align_corners, "
    "bool[] needs_gradient) -> (Tensor total, Tensor losses, Tensor valid, Tensor numbers, "
    "Tensor[] gradients)"
)


class LossResult(NamedTuple):
    """What the op returns. Few tensors: each costs as much as a whole small kernel.

    Attributes:
        total: scalar, float32 (float64 if a prediction is float64). Differentiable.
        losses: [T] raw losses, of the same type. Differentiable.
        valid: [T] int64, valid pixels.
        numbers: [3,T] float64. Row 0, the weights: d total / d loss. Row 1: d total / d s. Row 2:
            the factor that each stored gradient carries.
        gradients: per task ``numbers[2] * d loss / d prediction``, of the prediction's shape, type
            and memory format; of no element where it was not asked for.
    """

    total: Tensor
    losses: Tensor
    valid: Tensor
    numbers: Tensor
    gradients: list[Tensor]

    @property
    def weights(self) -> Tensor:
        """[T] the factor of each raw loss in the total, of the total's type."""
        return self.numbers[0].to(self.total.dtype)


def _allocate(predictions: Sequence[Tensor], needs_gradient: Sequence[bool]) -> LossResult:
    """The results, not filled in."""
    in_double = any([prediction.dtype == torch.float64 for prediction in predictions])
    dtype = torch.float64 if in_double else torch.float32
    count, like = len(predictions), predictions[0]
    return LossResult(
        total=like.new_empty((), dtype=dtype),
        losses=like.new_empty(count, dtype=dtype),
        valid=like.new_empty(count, dtype=torch.int64),
        numbers=like.new_empty(3, count, dtype=torch.float64),
        gradients=[
            torch.empty_like(prediction) if needed else prediction.new_empty(0)
            for prediction, needed in zip(predictions, needs_gradient)
        ],
    )


def _native_call(
    predictions: Sequence[Tensor],
    targets: Sequence[Tensor],
    masks: Sequence[Tensor | None],
    log_variances: Tensor | None,
    weights: Sequence[float],
    tasks: str,
    align_corners: bool,
    needs_gradient: Sequence[bool],
) -> tuple[LossResult, Any, tuple[int, int, bool, int, int]]:
    """The results, and the tasks and addresses that a native function fills them through."""
    result = _allocate(predictions, needs_gradient)
    variances = None
    if log_variances is not None:
        step = log_variances.stride(0) * log_variances.element_size()
        variances = (log_variances.data_ptr(), step, log_variances.dtype == torch.float64)
    native = native_tasks(tasks, predictions[0].device).tasks.with_tensors(
        [
            (
                view(prediction),
                view(target),
                optional_view(mask),
                view(gradient) if needed else None,
            )
            for prediction, target, mask, gradient, needed in zip(
                predictions, targets, masks, result.gradients, needs_gradient
            )
        ],
        variances,
        weights,
        align_corners,
    )
    outputs = (
        result.total.data_ptr(),
        result.losses.data_ptr(),
        result.total.dtype == torch.float64,
        result.valid.data_ptr(),
        result.numbers.data_ptr(),
    )
    return result, native, outputs


def _explained(error: Exception, predictions: Sequence[Tensor], tasks: str) -> ValueError:
    """A native BadLabel in the words of the caller."""
    index, value, *place = error.args
    task = read_tasks(tasks)[index]
    classes = predictions[index].shape[1] if task.kind == "cross_entropy" else None
    return bad_label_error(task.name, classes, task.ignore_index, value, tuple(place))


def multi_task_loss_cpu(*arguments: Any) -> LossResult:
    """The kernel for plain tensors on the CPU; bad labels raise a ValueError."""
    result, tasks, outputs = _native_call(*arguments)
    native = library()
    try:
        native.multi_task_loss_cpu(tasks, outputs, torch.get_num_threads())
    except native.BadLabel as error:
        raise _explained(error, arguments[0], arguments[5]) from None
    return result


def multi_task_loss_cuda(*arguments: Any) -> LossResult:
    """The kernel for plain tensors on a GPU; asynchronous on the current stream."""
    result, tasks, outputs = _native_call(*arguments)
    native = cuda_library()
    with torch.cuda.device(result.total.device):
        workspace = result.total.new_empty(
            native.multi_task_loss_workspace(tasks), dtype=torch.uint8
        )
        native.multi_task_loss_cuda(tasks, outputs, workspace.data_ptr(), current_stream())
    return result


LIBRARY.impl("multi_task_loss", multi_task_loss_cpu, "CPU")
LIBRARY.impl("multi_task_loss", multi_task_loss_cuda, "CUDA")


@torch.library.register_fake("mtl_cuda::multi_task_loss", lib=LIBRARY)
def _multi_task_loss_fake(*arguments: Any) -> LossResult:
    predictions, needs_gradient = arguments[0], arguments[7]
    return _allocate(predictions, needs_gradient)
