"""One step of learning: forward, losses, backward, new weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from mtl_cuda.engine.build import ScaledDeepLabV3, start_log_variances
from mtl_cuda.engine.config import TrainConfig
from mtl_cuda.engine.loading import Batch, to_device
from mtl_cuda.engine.logging import describe_losses, loss_row
from mtl_cuda.engine.network_with_loss import NetworkWithLoss
from mtl_cuda.engine.optim import build_optimizer, poly_learning_rate, set_learning_rate
from mtl_cuda.modules import MultiTaskLoss


class NonFiniteLossError(RuntimeError):
    """A loss became infinite or NaN; the message names the step and the samples."""


class Learner:
    """A network, its criterion and the optimizer of both.

    Args:
        network: on `device`; its memory format is set as configured.
        criterion: on `device`.
        config: of the run.
        device: that batches go to.

    Attributes:
        module: what a step calls: a `NetworkWithLoss`, or a module around it that averages the
            gradients of several processes, with `no_sync` as `DistributedDataParallel` has.
    """

    def __init__(
        self,
        network: ScaledDeepLabV3,
        criterion: MultiTaskLoss,
        config: TrainConfig,
        device: torch.device,
    ) -> None:
        self.network = network
        self.criterion = criterion
        self.config = config
        self.device = device
        self.memory_format = (
            torch.channels_last if config.run.channels_last else torch.contiguous_format
        )
        network.to(memory_format=self.memory_format)  # type: ignore[call-overload]
        self.module: nn.Module = NetworkWithLoss(network, criterion)
        self.optimizer = build_optimizer(network, criterion, config.optim)

    def learn(self, batches: Sequence[Batch], step: int, steps: int) -> dict[str, float]:
        """Make step number `step` (from 0) of `steps`; returns its numbers for metrics.csv.

        Args:
            batches: one, or several whose gradients are averaged: each loss is normalised by the
                valid pixels of its own batch, and every batch counts alike.
            step: from 0.
            steps: of the schedule.

        Raises:
            NonFiniteLossError: before any weight is changed.
        """
        learning_rate = poly_learning_rate(self.config.optim, step, steps)
        set_learning_rate(self.optimizer, learning_rate)
        self.module.train()
        self.optimizer.zero_grad(set_to_none=True)
        rows = []
        for index, batch in enumerate(batches):
            images, targets = self._inputs(batch)
            if step == index == 0 and self.config.loss.initial_log_variance == "first_batch":
                self._start_log_variances(images, targets)
            with self._synchronising(index == len(batches) - 1):
                output = self.module(images, targets)
                rows.append(loss_row(output))
                _check_finite(rows[-1], batch, step)
                (output.total / len(batches)).backward()
        if self.config.optim.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.module.parameters(), self.config.optim.clip_norm)
        self.optimizer.step()
        return {**_mean(rows), "lr": learning_rate}

    def _inputs(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        targets = to_device(batch, self.device)
        return targets.pop("image").contiguous(memory_format=self.memory_format), targets

    def _synchronising(self, last: bool) -> AbstractContextManager[None]:
        """Several processes average their gradients once a step, in its last backward pass."""
        no_sync: Any = getattr(self.module, "no_sync", nullcontext)
        return nullcontext() if last else no_sync()

    @torch.no_grad()
    def _start_log_variances(self, images: Tensor, targets: dict[str, Tensor]) -> None:
        start_log_variances(self.criterion, self.criterion(self.network(images), targets))


def _check_finite(row: Mapping[str, float], batch: Batch, step: int) -> None:
    if not all(math.isfinite(value) for value in row.values()):
        raise NonFiniteLossError(
            f"step {step}: the loss is not finite ({describe_losses(row)}); samples: "
            f"{', '.join(batch['name'])}. A lower optim.learning_rate or an optim.clip_norm "
            "may help"
        )


def _mean(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {key: sum(row[key] for row in rows) / len(rows) for key in rows[0]}
