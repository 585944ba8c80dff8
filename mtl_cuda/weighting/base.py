"""What a weighting scheme is: raw losses in, one total out, and perhaps a state in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn


def alone(own: Tensor) -> Tensor:
    """The mean over the processes that share a batch, where there is one."""
    return own


class RawLosses(NamedTuple):
    """What a scheme sees of a batch; T tasks, always in the same order.

    Attributes:
        losses: [T] raw losses, differentiable; exactly 0 where a task has no valid pixel.
        valid: [T] int64, valid pixels.
        log_variances: [T], s = log sigma**2 as it is used (clamped), differentiable; None for a
            scheme that does not learn them.
        predictions: of each task, [B,C,h,w].
        shared: parameters that all predictions depend on; none where the caller gave none.
        mean: of a tensor over all processes that share the batch. Losses and `valid` are those of
            the joined batch already; what a scheme makes of the predictions is this process's own.
    """

    losses: Tensor
    valid: Tensor
    log_variances: Tensor | None
    predictions: tuple[Tensor, ...]
    shared: tuple[Tensor, ...]
    mean: Callable[[Tensor], Tensor] = alone

    @property
    def present(self) -> Tensor:
        """[T] bool: tasks that have a loss. One of exactly 0 has nothing to say about weights."""
        return self.losses.detach() != 0


class Weighed(NamedTuple):
    """What a scheme makes of them.

    Attributes:
        total: scalar, differentiable.
        weights: [T] d total / d loss; no gradient.
    """

    total: Tensor
    weights: Tensor


class Weighting(nn.Module):
    """A scheme. Its state is in buffers, what it learns in parameters: saved, copied, moved.

    An instance holds the options until :meth:`start`, which `MultiTaskLoss` calls on a copy of its
    own, makes the state. Nothing here may read a tensor on the host: on a GPU that would wait.
    A task without a valid pixel must add nothing to the total.
    """

    learns_log_variances: ClassVar[bool] = False
    """Whether the criterion keeps a log-variance per task for it."""

    needs_shared: ClassVar[bool] = False
    """Whether a training step must name the shared parameters."""

    def start(self, count: int) -> None:
        """Make the state for so many tasks."""

    def forward(self, raw: RawLosses) -> Weighed:
        """Weigh the losses of a batch; the state moves on only where `learning`."""
        raise NotImplementedError

    def end_epoch(self) -> None:
        """Take note that a pass over the training set is over."""

    @property
    def learning(self) -> bool:
        """Whether this call belongs to training: in training mode, and gradients are recorded."""
        return self.training and torch.is_grad_enabled()


def weighed_sum(weights: Tensor, losses: Tensor) -> Weighed:
    """The sum of losses with weights that are constants to the derivative."""
    weights = weights.detach().to(losses.dtype)
    return Weighed((weights * losses).sum(), weights)


def softmax_of_present(scores: Tensor, present: Tensor) -> Tensor:
    """The softmax over the tasks that have a loss; 0 for the others (for all, if none has)."""
    weights = torch.softmax(scores.masked_fill(~present, -torch.inf), dim=0)
    return weights.masked_fill(~present, 0.0)


def check_positive(value: float, argument: str) -> float:
    """The value as a float, or a ValueError."""
    if not 0.0 < value < float("inf"):
        raise ValueError(f"{argument}: expected a finite number > 0, got {value}")
    return float(value)
