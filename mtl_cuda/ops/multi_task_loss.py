"""``torch.ops.mtl_cuda.multi_task_loss``: schema, CPU kernel, fake kernel, autograd.

The op is functional: it returns the loss and, for the predictions that ask for it, the gradients
that the same pass over the memory has made. Entry i of every list belongs to task i; entries that
do not concern a task's kind are None or any number. Class weights are float64 on the CPU, whatever
the device; ``names`` (one a line) are for messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mtl_cuda.native import (
    address,
    cuda_library,
    current_stream,
    library,
    optional_view,
    view,
)
from mtl_cuda.ops.bad_label import bad_label_error
from mtl_cuda.ops.library import LIBRARY

# The codes of csrc/loss/loss.h.
CROSS_ENTROPY, L1, INSTANCE_OFFSET = range(3)
LIKELIHOODS = ("fixed", "softmax", "scaled_softmax", "gaussian", "laplace")
SCALED_SOFTMAX = LIKELIHOODS.index("scaled_softmax")


class LossResult(NamedTuple):
    """What the op returns.

    Attributes:
        total: scalar, float32 (float64 if a prediction is float64). Differentiable.
        losses: [T] raw losses, of the same type. Differentiable.
        weights: [T] float64, d total / d loss.
        valid: [T] int64, valid pixels.
        log_variance_gradient: [T] float64, d total / d s.
        gradient_scales: [T] float64, the factor that each stored gradient carries.
        gradients: per task ``gradient_scale * d loss / d prediction``, of the prediction's shape,
            type and memory format; of no element where it was not asked for.
    """

    total: Tensor
    losses: Tensor
    weights: Tensor
    valid: Tensor
    log_variance_gradient: Tensor
    gradient_scales: Tensor
    gradients: list[Tensor]


LIBRARY.define(
    "multi_task_loss(Tensor[] predictions, Tensor[] targets, Tensor?[] masks, "
    "Tensor?[] class_weights, Tensor? log_variances, int[] kinds, int[] likelihoods, "
    "float[] weights, int[] ignore_indices, float[] label_smoothings, bool align_corners, "
    "bool[] needs_gradient, str names) -> (Tensor total, Tensor losses, Tensor weights, "
    "Tensor valid, Tensor log_variance_gradient, Tensor gradient_scales, Tensor[] gradients)"
)
# gradients[i] * factors[i], rounded once.
LIBRARY.define("scale_gradients(Tensor[] gradients, Tensor factors) -> Tensor[]")


def _allocate(predictions: Sequence[Tensor], needs_gradient: Sequence[bool]) -> LossResult:
    """The results, not filled in."""
    in_double = any(prediction.dtype == torch.float64 for prediction in predictions)
    dtype = torch.float64 if in_double else torch.float32
    tasks, like = len(predictions), predictions[0]
    return LossResult(
        total=like.new_empty((), dtype=dtype),
        losses=like.new_empty(tasks, dtype=dtype),
        weights=like.new_empty(tasks, dtype=torch.float64),
        valid=like.new_empty(tasks, dtype=torch.int64),
        log_variance_gradient=like.new_empty(tasks, dtype=torch.float64),
        gradient_scales=like.new_empty(tasks, dtype=torch.float64),
        gradients=[
            torch.empty_like(prediction) if needed else prediction.new_empty(0)
            for prediction, needed in zip(predictions, needs_gradient)
        ],
    )


def _native_call(
    predictions: Sequence[Tensor],
    targets: Sequence[Tensor],
    masks: Sequence[Tensor | None],
    class_weights: Sequence[Tensor | None],
    log_variances: Tensor | None,
    kinds: Sequence[int],
    likelihoods: Sequence[int],
    weights: Sequence[float],
    ignore_indices: Sequence[int],
    label_smoothings: Sequence[float],
    align_corners: bool,
    needs_gradient: Sequence[bool],
    _names: str,
) -> tuple[LossResult, list[Any], Any]:
    """The results, and the tasks and outputs that a native function fills them through."""
    native = library()
    result = _allocate(predictions, needs_gradient)
    tasks = [
        native.LossTask(
            kinds[i],
            likelihoods[i],
            view(prediction),
            view(targets[i]),
            optional_view(masks[i]),
            view(result.gradients[i]) if needs_gradient[i] else None,
            address(class_weights[i]),
            ignore_indices[i],
            label_smoothings[i],
            address(log_variances, i),
            log_variances is not None and log_variances.dtype == torch.float64,
            weights[i],
            align_corners,
        )
        for i, prediction in enumerate(predictions)
    ]
    outputs = native.LossOutputs(
        result.total.data_ptr(),
        result.losses.data_ptr(),
        result.total.dtype == torch.float64,
        result.weights.data_ptr(),
        result.valid.data_ptr(),
        result.log_variance_gradient.data_ptr(),
        result.gradient_scales.data_ptr(),
    )
    return result, tasks, outputs


def _explained(error: Exception, *arguments: Any) -> ValueError:
    """A native BadLabel in the words of the caller."""
    predictions, kinds, ignore_indices, names = (arguments[i] for i in (0, 5, 8, 12))
    task, value, *place = error.args
    classes = predictions[task].shape[1] if kinds[task] == CROSS_ENTROPY else None
    name = names.splitlines()[task]
    return bad_label_error(name, classes, ignore_indices[task], value, tuple(place))


@torch.library.impl("mtl_cuda::multi_task_loss", "CPU", lib=LIBRARY)
def _multi_task_loss_cpu(*arguments: Any) -> LossResult:
    result, tasks, outputs = _native_call(*arguments)
    native = library()
    try:
        native.multi_task_loss_cpu(tasks, outputs, torch.get_num_threads())
    except native.BadLabel as error:
        raise _explained(error, *arguments) from None
    return result


@lru_cache(maxsize=64)
def _on_device(weights: tuple[float, ...], device: torch.device) -> Tensor:
    """Class weights on a GPU, copied there once: a copy from the host waits for the device."""
    return torch.tensor(weights, dtype=torch.float64, device=device)


@torch.library.impl("mtl_cuda::multi_task_loss", "CUDA", lib=LIBRARY)
def _multi_task_loss_cuda(*arguments: Any) -> LossResult:
    predictions, targets, masks, class_weights, *rest = arguments
    moved = [
        None if weights is None else _on_device(tuple(weights.tolist()), predictions[0].device)
        for weights in class_weights
    ]
    arguments = (predictions, targets, masks, moved, *rest)
    result, tasks, outputs = _native_call(*arguments)
    native = cuda_library()
    with torch.cuda.device(result.total.device):
        workspace = result.total.new_empty(
            native.multi_task_loss_workspace(tasks), dtype=torch.uint8
        )
        native.multi_task_loss_cuda(tasks, outputs, workspace.data_ptr(), current_stream())
    return result


@torch.library.register_fake("mtl_cuda::multi_task_loss", lib=LIBRARY)
def _multi_task_loss_fake(*arguments: Any) -> LossResult:
    predictions, needs_gradient = arguments[0], arguments[11]
    return _allocate(predictions, needs_gradient)


@torch.library.impl("mtl_cuda::scale_gradients", "CPU", lib=LIBRARY)
def _scale_gradients_cpu(gradients: Sequence[Tensor], factors: Tensor) -> list[Tensor]:
    # A Python scalar multiplies in float32 before the one rounding to half precision.
    return [gradient * factor for gradient, factor in zip(gradients, factors.tolist())]


@torch.library.impl("mtl_cuda::scale_gradients", "CUDA", lib=LIBRARY)
def _scale_gradients_cuda(gradients: Sequence[Tensor], factors: Tensor) -> list[Tensor]:
    copies = [gradient.clone() for gradient in gradients]
    _scale_in_place(copies, factors)
    return copies


def _scale_in_place(gradients: Sequence[Tensor], factors: Tensor) -> None:
    """On the GPU; where a factor is 1, which only the device knows, nothing is touched."""
    native = cuda_library()
    with torch.cuda.device(factors.device):
        for i, gradient in enumerate(gradients):
            pointer, dtype, _, _ = view(gradient)
            native.scale_gradient_cuda(
                pointer, dtype, gradient.numel(), address(factors, i), current_stream()
            )


@torch.library.register_fake("mtl_cuda::scale_gradients", lib=LIBRARY)
def _scale_gradients_fake(gradients: Sequence[Tensor], factors: Tensor) -> list[Tensor]:
    return [torch.empty_like(gradient) for gradient in gradients]


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Any, ...]) -> None:
    log_variances, likelihoods, needs_gradient = inputs[4], inputs[6], inputs[11]
    result = LossResult(*output)
    ctx.mark_non_differentiable(
        result.weights,
        result.valid,
        result.log_variance_gradient,
        result.gradient_scales,
        *result.gradients,
    )
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(
        result.weights, result.log_variance_gradient, result.gradient_scales, *result.gradients
    )
    ctx.log_variance_dtype = None if log_variances is None else log_variances.dtype
    ctx.scaled = [likelihood == SCALED_SOFTMAX for likelihood in likelihoods]
    ctx.needs_gradient = needs_gradient


def _coefficients(
    grad_total: Tensor | None, grad_losses: Tensor | None, of_total: Tensor, of_losses: Tensor
) -> Tensor:
    """d objective / d x, where d total / d x and d losses / d x are given per task."""
    result = torch.zeros_like(of_total)
    if grad_total is not None:
        result = result + grad_total * of_total
    if grad_losses is not None:
        result = result + grad_losses * of_losses
    return result


def _scaled(gradients: list[Tensor], factors: Tensor) -> list[Tensor]:
    """The stored gradients times ``factors``; where all are 1, as they are.

    A caller that keeps the graph may call again, so it gets copies: what it does to them must not
    reach the stored ones. Tensors that are being traced have no value to look at.
    """
    keeps_graph = torch._C._autograd._get_current_graph_task_keep_graph()
    if type(factors) is torch.Tensor and not keeps_graph:
        if factors.is_cuda:
            _scale_in_place(gradients, factors)
            return gradients
        if bool((factors == 1.0).all()):
            return gradients
    scaled: list[Tensor] = torch.ops.mtl_cuda.scale_gradients(gradients, factors)
    return scaled


def _backward(ctx: Any, grad_total: Tensor | None, grad_losses: Tensor | None, *_: Any) -> Any:
    if torch.is_grad_enabled():
        raise RuntimeError(
            "mtl_cuda.multi_task_loss: create_graph=True asks for second derivatives, which the "
            "fused op does not have; use mtl_cuda.reference.multi_task_loss for them"
        )
    weights, variance_gradient, scales, *gradients = ctx.saved_tensors
    wanted = [i for i, needed in enumerate(ctx.needs_gradient) if needed]
    by_task: list[Tensor | None] = [None] * len(ctx.needs_gradient)
    if wanted and (grad_total is not None or grad_losses is not None):
        coefficients = _coefficients(grad_total, grad_losses, weights, torch.ones_like(scales))
        # Where s is NaN, so is every stored gradient that should be; the others are to stay 0.
        factors = torch.where(scales.isnan(), 1.0, coefficients / scales)
        if len(wanted) < len(by_task):
            factors = torch.stack([factors[i] for i in wanted])
        for i, gradient in zip(wanted, _scaled([gradients[i] for i in wanted], factors)):
            by_task[i] = gradient
    grad_variances = None
    if ctx.log_variance_dtype is not None and ctx.needs_input_grad[4]:
        # A raw loss depends on s only where s scales the logits; there the total does as much.
        slopes = variance_gradient
        if grad_losses is not None:
            zero = torch.zeros_like(variance_gradient[0])
            slopes = torch.stack(
                [variance_gradient[i] if scaled else zero for i, scaled in enumerate(ctx.scaled)]
            )
        grad_variances = _coefficients(grad_total, grad_losses, variance_gradient, slopes).to(
            ctx.log_variance_dtype
        )
    no_targets = [None] * len(by_task)
    return by_task, no_targets, None, None, grad_variances, *[None] * 8


torch.library.register_autograd(
    "mtl_cuda::multi_task_loss", _backward, setup_context=_setup_context, lib=LIBRARY
)


def multi_task_loss(*arguments: Any) -> LossResult:
    """The op with named results; the arguments are those of the schema."""
    return LossResult(*torch.ops.mtl_cuda.multi_task_loss(*arguments))
