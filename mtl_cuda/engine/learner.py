"""One step of learning: forward, losses, backward, new weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from mtl_cuda.engine.build import ScaledDeepLabV3, start_log_variances
from mtl_cuda.engine.config import TrainConfig
from mtl_cuda.engine.loading import Batch, to_device
from mtl_cuda.engine.logging import describe_losses, loss_row
from mtl_cuda.engine.optim import build_optimizer, poly_learning_rate, set_learning_rate
from mtl_cuda.modules import MultiTaskLoss, MultiTaskLossOutput


class NonFiniteLossError(RuntimeError):
    """A loss became infinite or NaN; the message names the step and the samples."""


class Learner:
    """A network, its criterion and the optimizer of both.

    Args:
        network: on `device`; its memory format is set as configured.
        criterion: on `device`.
        config: of the run.
        device: that batches go to.
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
        self.optimizer = build_optimizer(network, criterion, config.optim)

    def learn(self, batch: Batch, step: int, steps: int) -> dict[str, float]:
        """Make step number `step` (from 0) of `steps`; returns its numbers for metrics.csv.

        Raises:
            NonFiniteLossError: before any weight is changed.
        """
        learning_rate = poly_learning_rate(self.config.optim, step, steps)
        set_learning_rate(self.optimizer, learning_rate)
        targets = to_device(batch, self.device)
        images = targets.pop("image").contiguous(memory_format=self.memory_format)
        self.network.train()
        if step == 0 and self.config.loss.initial_log_variance == "first_batch":
            start_log_variances(self.criterion, self._raw_losses(images, targets))
        shared = self.network.aspp.project.parameters()  # the last layer of all tasks
        output = self.criterion(self.network(images), targets, shared)
        row = loss_row(output)
        if not all(math.isfinite(value) for value in row.values()):
            raise NonFiniteLossError(
                f"step {step}: the loss is not finite ({describe_losses(row)}); samples: "
                f"{', '.join(batch['name'])}. A lower optim.learning_rate or an optim.clip_norm "
                "may help"
            )
        self.optimizer.zero_grad(set_to_none=True)
        output.total.backward()
        if self.config.optim.clip_norm is not None:
            nn.utils.clip_grad_norm_(self._parameters(), self.config.optim.clip_norm)
        self.optimizer.step()
        return {**row, "lr": learning_rate}

    def _parameters(self) -> list[nn.Parameter]:
        return [*self.network.parameters(), *self.criterion.parameters()]

    @torch.no_grad()
    def _raw_losses(self, images: Tensor, targets: dict[str, Tensor]) -> MultiTaskLossOutput:
        return self.criterion(self.network(images), targets)
