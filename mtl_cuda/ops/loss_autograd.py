"""The derivatives of ``torch.ops.mtl_cuda.multi_task_loss``: what its forward pass has stored.

An own kernel for the Autograd key instead of ``torch.library.register_autograd``, which flattens
and rebuilds every list of tensors in each direction and cost more than the rest of a small call.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mtl_cuda.native import address, cuda_library, current_stream, view
from mtl_cuda.ops.library import LIBRARY
from mtl_cuda.ops.loss_tasks import read_tasks
from mtl_cuda.ops.multi_task_loss import LossResult, multi_task_loss_cpu, multi_task_loss_cuda
from mtl_cuda.ops.plain import is_plain_call

# gradients[i] * factors[i], rounded once.
LIBRARY.define("scale_gradients(Tensor[] gradients, Tensor factors) -> Tensor[]")


@torch.library.impl("mtl_cuda::scale_gradients", "CPU", lib=LIBRARY)
def _scale_gradients_cpu(gradients: Sequence[Tensor], factors: Tensor) -> list[Tensor]:
    # A Python scalar multiplies in float32 before the one rounding to half precision.
    return [gradient * factor for gradient, factor in zip(gradients, factors.tolist())]


@torch.library.impl("mtl_cuda::scale_gradients", "CUDA", lib=LIBRARY)
def _scale_gradients_cuda(gradients: Sequence[Tensor], factors: Tensor) -> list[Tensor]:
    copies = [gradient.clone() for gradient in gradients]
    _scale_in_place(copies, factors)
    return copies


@torch.library.register_fake("mtl_cuda::scale_gradients", lib=LIBRARY)
def _scale_gradients_fake(gradients: Sequence[Tensor], factors: Tensor) -> list[Tensor]:
    return [torch.empty_like(gradient) for gradient in gradients]


def _scale_in_place(gradients: Sequence[Tensor], factors: Tensor) -> None:
    """On the GPU; where a factor is 1, which only the device knows, nothing is touched."""
    native = cuda_library()
    with torch.cuda.device(factors.device):
        stream = current_stream()
        for i, gradient in enumerate(gradients):
            pointer, dtype, _, _ = view(gradient)
            count = gradient.numel()
            native.scale_gradient_cuda(pointer, dtype, count, address(factors, i), stream)


# What the two functions below compute, per task, from the gradients that come in:
#   factor, of the stored gradient: (d total * weight + d loss) / scale. Where s is NaN, so is every
#     stored gradient that should be; the others are to stay 0: there it is 1.
#   d s: slope * d total, and slope * d loss where s scales the logits: only there does a raw loss
#     depend on s, and then as much as the total does.
# They hand on the stored gradients where the factor is 1, as it is in a backward pass from the
# total, unless the caller keeps the graph: it may call again, so what it does to its gradients must
# not reach the stored ones.


def _on_the_host(
    ctx: Any,
    numbers: Tensor,
    gradients: list[Tensor],
    grad_total: Tensor | None,
    grad_losses: Tensor | None,
) -> tuple[list[Tensor], Tensor | None]:
    """Numbers on the CPU are read: cheaper than any operation on such small tensors."""
    weights, slopes, scales = numbers.tolist()
    of_total: float = 0.0 if grad_total is None else grad_total.item()
    of_losses = [0.0] * len(weights) if grad_losses is None else grad_losses.tolist()
    keep = _keeps_graph()
    for place, (i, gradient) in enumerate(zip(ctx.wanted, gradients)):
        known = not math.isnan(scales[i])
        factor = (of_total * weights[i] + of_losses[i]) / scales[i] if known else 1.0
        if keep or factor != 1.0:
            # A Python scalar multiplies in float32 before the one rounding to half precision.
            gradients[place] = gradient * factor
    if not ctx.needs_input_grad[1]:
        return gradients, None
    of_variances = [slope * of_total for slope in slopes]
    if grad_losses is not None:
        for i, task in enumerate(read_tasks(ctx.tasks)):
            if task.likelihood == "scaled_softmax":
                of_variances[i] += slopes[i] * of_losses[i]
    return gradients, torch.tensor(of_variances, dtype=ctx.log_variance_dtype)


def _on_the_device(
    ctx: Any,
    numbers: Tensor,
    gradients: list[Tensor],
    grad_total: Tensor | None,
    grad_losses: Tensor | None,
) -> tuple[list[Tensor], Tensor | None]:
    """Numbers on a GPU, or traced by a compiler, have no value to look at."""
    scales = numbers[2]
    products = numbers[:2] * (0.0 if grad_total is None else grad_total)
    coefficients, of_variances = products.unbind()
    if grad_losses is not None:
        coefficients = coefficients + grad_losses
    factors = torch.where(scales.isnan(), 1.0, coefficients / scales)
    if len(gradients) < len(scales):
        factors = torch.stack([factors[i] for i in ctx.wanted]) if gradients else factors[:0]
    if type(numbers) is Tensor and not _keeps_graph():
        _scale_in_place(gradients, factors)
    else:
        gradients = torch.ops.mtl_cuda.scale_gradients(gradients, factors)
    if not ctx.needs_input_grad[1]:
        return gradients, None
    if grad_losses is not None:
        likelihoods = [task.likelihood for task in read_tasks(ctx.tasks)]
        of_losses = (numbers[1] * grad_losses).unbind()
        of_variances = torch.stack(
            [
                of_total + of_loss if likelihood == "scaled_softmax" else of_total
                for of_total, of_loss, likelihood in zip(of_variances, of_losses, likelihoods)
            ]
        )
    return gradients, of_variances.to(ctx.log_variance_dtype)


def _keeps_graph() -> bool:
    """Whether the backward pass that runs may be followed by another over the same graph."""
    keeps: bool = torch._C._autograd._get_current_graph_task_keep_graph()
    return keeps


class _StoredGradients(torch.autograd.Function):
    """The node of the graph: attached to results that the kernels have made already."""

    @staticmethod
    def forward(
        ctx: Any,
        call: tuple[LossResult, str, Sequence[bool]],
        log_variances: Tensor | None,
        *_predictions: Tensor,
    ) -> tuple[Tensor, Tensor]:
        result, ctx.tasks, needs_gradient = call
        ctx.set_materialize_grads(False)
        ctx.count = len(needs_gradient)
        ctx.wanted = [i for i, needed in enumerate(needs_gradient) if needed]
        ctx.save_for_backward(result.numbers, *[result.gradients[i] for i in ctx.wanted])
        ctx.log_variance_dtype = None if log_variances is None else log_variances.dtype
        return result.total, result.losses

    @staticmethod
    def backward(ctx: Any, grad_total: Tensor | None, grad_losses: Tensor | None) -> Any:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "mtl_cuda.multi_task_loss: create_graph=True asks for second derivatives, which "
                "the fused op does not have; use mtl_cuda.reference.multi_task_loss for them"
            )
        by_task: list[Tensor | None] = [None] * ctx.count
        if grad_total is None and grad_losses is None:
            return None, None, *by_task
        numbers, *gradients = ctx.saved_tensors
        readable = type(numbers) is Tensor and numbers.is_cpu
        backward = _on_the_host if readable else _on_the_device
        gradients, grad_variances = backward(ctx, numbers, gradients, grad_total, grad_losses)
        for i, gradient in zip(ctx.wanted, gradients):
            by_task[i] = gradient
        return None, grad_variances, *by_task


def _with_node(result: LossResult, arguments: tuple[Any, ...]) -> LossResult:
    """The kernels' results, with a node where a derivative can be asked for."""
    predictions, _, _, log_variances, _, tasks, _, needs_gradient = arguments
    if not torch.is_grad_enabled() or not (
        any(needs_gradient) or (log_variances is not None and log_variances.requires_grad)
    ):
        return result
    call = (result, tasks, needs_gradient)
    total, losses = _StoredGradients.apply(call, log_variances, *predictions)
    return LossResult(total, losses, *result[2:])


def _multi_task_loss_autograd(keyset: Any, *arguments: Any) -> LossResult:
    with torch._C._AutoDispatchBelowAutograd():
        below = torch.ops.mtl_cuda.multi_task_loss.default.redispatch(
            keyset & torch._C._after_autograd_keyset, *arguments
        )
    return _with_node(LossResult(*below), arguments)


LIBRARY.impl("multi_task_loss", _multi_task_loss_autograd, "Autograd", with_keyset=True)


def multi_task_loss(*arguments: Any) -> LossResult:
    """The op with named results; the arguments are those of the schema."""
    predictions, targets, masks, log_variances, *_ = arguments
    if not is_plain_call((*predictions, *targets, *masks, log_variances)):
        return LossResult(*torch.ops.mtl_cuda.multi_task_loss.default(*arguments))
    kernel = multi_task_loss_cuda if predictions[0].is_cuda else multi_task_loss_cpu
    return _with_node(kernel(*arguments), arguments)
