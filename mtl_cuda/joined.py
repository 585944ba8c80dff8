"""Losses of a batch that several processes share: those of the joined batch, on every process.

The mean over the valid pixels of a joined batch is no mean of means: processes have different
numbers of valid pixels, and some have none. With the raw loss L_r and its normaliser N_r (the
valid pixels, or what their class weights add up to) on process r of W,

    L = sum over r of N_r L_r / N,    N = sum over r of N_r

which takes one small all-reduce. Backward, a process's own L_r gets the factor W N_r / N: the mean
over processes that `DistributedDataParallel` takes of the gradients is then the gradient of L.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, distributed

from mtl_cuda.functional import Target
from mtl_cuda.tasks import CrossEntropyTask, Task
from mtl_cuda.weighting import Weighed


class Joined(NamedTuple):
    """Raw losses and valid pixels of the joined batch.

    Attributes:
        losses: [T] differentiable; 0 where no process has a valid pixel.
        valid: [T] int64.
    """

    losses: Tensor
    valid: Tensor


def process_count(group: distributed.ProcessGroup | None) -> int:
    """How many processes share a batch: 1 where no process group was started."""
    if not distributed.is_available() or not distributed.is_initialized():
        return 1
    return distributed.get_world_size(group)


def join_losses(
    losses: Tensor,
    valid: Tensor,
    tasks: Mapping[str, Task],
    targets: Mapping[str, Target],
    group: distributed.ProcessGroup | None,
) -> Joined:
    """Make the raw losses of this process those of the joined batch; all processes must call it.

    Args:
        losses: [T] raw losses.
        valid: [T] int64, valid pixels behind them.
        tasks: by name, in the order of the losses.
        targets: of the losses.
        group: of the processes; None is all of them.
    """
    return Joined(*_JoinLosses.apply(losses, valid, _normalisers(valid, tasks, targets), group))


def mean_of_processes(own: Tensor, group: distributed.ProcessGroup | None) -> Tensor:
    """The mean of a tensor over the processes; without gradient."""
    summed = own.detach().clone()
    distributed.all_reduce(summed, group=group)
    return summed / distributed.get_world_size(group)


def weigh(
    losses: Tensor,
    valid: Tensor,
    tasks: Mapping[str, Task],
    log_variances: Tensor | None,
    fixed_weights: Mapping[str, float] | None,
) -> Weighed:
    """The total that the op itself makes of raw losses; see `mtl_cuda.tasks` for the likelihoods.

    Args:
        losses: [T] raw losses.
        valid: [T] valid pixels; a task without one adds nothing.
        tasks: by name, in the order of the losses.
        log_variances: [T] as they are used (clamped), or None.
        fixed_weights: by name, where there are no log-variances.
    """
    terms, weights = [], []
    for index, (name, task) in enumerate(tasks.items()):
        loss = losses[index]
        regulariser: Tensor | float = 0.0
        if log_variances is None:
            weight = torch.full_like(loss, (fixed_weights or {})[name])
        else:
            s = log_variances[index].to(loss.dtype)
            weight = _weight(task.likelihood, s)
            # A scaled softmax has its s in the raw loss, normalisation included.
            regulariser = 0.0 if task.likelihood == "scaled_softmax" else s / 2
        terms.append(weight * loss + regulariser)
        weights.append(weight.detach())
    total = torch.where(valid > 0, torch.stack(terms), 0.0).sum()
    return Weighed(total, torch.stack(weights))


def _weight(likelihood: str, s: Tensor) -> Tensor:
    if likelihood == "softmax":
        return torch.exp(-s)
    if likelihood == "gaussian":
        return torch.exp(-s) / 2
    if likelihood == "laplace":
        return torch.exp(-s / 2)
    return torch.ones_like(s)


def _normalisers(valid: Tensor, tasks: Mapping[str, Task], targets: Mapping[str, Target]) -> Tensor:
    """[T] float64: what the sum over pixels was divided by."""
    counts = list(valid.double().unbind())
    for index, (name, task) in enumerate(tasks.items()):
        target = targets[name]
        if isinstance(task, CrossEntropyTask) and task.class_weights and isinstance(target, Tensor):
            counts[index] = _summed_weights(target, task)
    return torch.stack(counts)


def _summed_weights(target: Tensor, task: CrossEntropyTask) -> Tensor:
    weights = torch.tensor(task.class_weights, dtype=torch.float64, device=target.device)
    labels = target.long()
    # Bad labels make the loss NaN or have raised already; here they must be no index.
    picked = weights[labels.clamp(0, task.num_classes - 1)]
    return torch.where(labels == task.ignore_index, 0.0, picked).sum()


class _JoinLosses(torch.autograd.Function):
    """See the head of the file; summed in float64."""

    @staticmethod
    def forward(
        ctx: Any,
        losses: Tensor,
        valid: Tensor,
        normalisers: Tensor,
        group: distributed.ProcessGroup | None,
    ) -> tuple[Tensor, Tensor]:
        sums = torch.stack([losses.double() * normalisers, normalisers, valid.double()])
        distributed.all_reduce(sums, group=group)
        of_losses, of_normalisers, count = sums
        present = of_normalisers > 0
        processes = distributed.get_world_size(group)
        share = torch.where(present, processes * normalisers / of_normalisers, 0.0)
        ctx.save_for_backward(share.to(losses.dtype))
        joined = torch.where(present, of_losses / of_normalisers, 0.0).to(losses.dtype)
        counts = count.long()
        ctx.mark_non_differentiable(counts)
        return joined, counts

    @staticmethod
    def backward(ctx: Any, grad_losses: Tensor, _grad_counts: Tensor) -> Any:
        (share,) = ctx.saved_tensors
        return grad_losses * share, None, None, None
