"""One step of learning: forward, losses, backward, new weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from mtl_cuda.engine.bad_steps import BadSteps, Buffers, is_finite
from mtl_cuda.engine.build import ScaledDeepLabV3, start_log_variances
from mtl_cuda.engine.checkpoint.state import Stateful
from mtl_cuda.engine.config import TrainConfig
from mtl_cuda.engine.ema import averaged
from mtl_cuda.engine.loading import Batch, to_device
from mtl_cuda.engine.logging import loss_row
from mtl_cuda.engine.network_with_loss import NetworkWithLoss
from mtl_cuda.engine.optim import build_optimizer, scheduled_learning_rate, set_learning_rate
from mtl_cuda.engine.precision import Precision
from mtl_cuda.models.batch_norm import synchronise_batch_norm
from mtl_cuda.modules import MultiTaskLoss
from mtl_cuda.tasks import LOG_VARIANCE_RANGE


class Learner:
    """A network, its criterion and the optimizer of both.

    Args:
        network: on `device`; its memory format is set, and it is compiled, as configured.
        criterion: on `device`.
        config: of the run.
        device: that batches go to.

    Attributes:
        module: what a step calls: a `NetworkWithLoss`, or a module around it that averages the
            gradients of several processes, with `no_sync` as `DistributedDataParallel` has.
        average: of the weights; None where the configuration asks for none.

    Raises:
        ValueError: the configuration asks for what the device cannot do.
    """

    def __init__(
        self,
        network: ScaledDeepLabV3,
        criterion: MultiTaskLoss,
        config: TrainConfig,
        device: torch.device,
    ) -> None:
        run, optim = config.run, config.optim
        self.network = network
        self.criterion = criterion
        self.config = config
        self.device = device
        self.memory_format = torch.channels_last if run.channels_last else torch.contiguous_format
        network.to(memory_format=self.memory_format)  # type: ignore[call-overload]
        if config.model.batch_norm == "sync":
            synchronise_batch_norm(network, device)
        self.average = None if optim.ema_decay is None else averaged(network, optim.ema_decay)
        if run.compile:
            network.compile()  # in place: parameters keep their names
        self.precision = Precision(run.precision, device)
        self.module: nn.Module = NetworkWithLoss(network, criterion, self.precision)
        self.optimizer = build_optimizer(network, criterion, optim)
        self.bad_steps = BadSteps(run.max_bad_steps)

    @property
    def predictor(self) -> nn.Module:
        """The network to evaluate: the average, where there is one."""
        return self.network if self.average is None else self.average.module

    @property
    def parts(self) -> dict[str, Stateful]:
        """What learns and remembers, by its name in checkpoints."""
        parts: dict[str, Stateful] = {
            "model": self.network,
            "criterion": self.criterion,
            "optimizer": self.optimizer,
            "bad_steps": self.bad_steps,
        }
        if self.precision.scaler.is_enabled():
            parts["scaler"] = self.precision.scaler
        if self.average is not None:
            parts["ema"] = self.average
        return parts

    def learn(self, batches: Sequence[Batch], step: int, steps: int) -> dict[str, float]:
        """Make step number `step` (from 0) of `steps`; returns its numbers for metrics.csv.

        A step whose loss is not finite is left out, if that is allowed: weights and buffers stay as
        they were, and so do the numbers, which are then not finite.

        Args:
            batches: one, or several whose gradients are averaged: each loss is normalised by the
                valid pixels of its own batch, and every batch counts alike.
            step: from 0.
            steps: of the schedule.

        Raises:
            NonFiniteLossError: more steps than allowed; no weight has been changed by this one.
        """
        learning_rate = scheduled_learning_rate(self.config.optim, step, steps)
        set_learning_rate(self.optimizer, learning_rate)
        self.module.train()
        self.optimizer.zero_grad(set_to_none=True)
        before = Buffers(self.module) if self.bad_steps.allowed else None
        rows = []
        for index, batch in enumerate(batches):
            first = step == self.bad_steps.count and index == 0  # all before were left out
            row = self._add_gradients(batch, 1 / len(batches), first, index == len(batches) - 1)
            rows.append(row)
            if not is_finite(row):
                self.bad_steps.add(step, row, batch["name"])
                if before is not None:
                    before.restore()
                return {**row, "lr": learning_rate}
        self._move()
        return {**_mean(rows), "lr": learning_rate}

    def _add_gradients(
        self, batch: Batch, share: float, first: bool, last: bool
    ) -> dict[str, float]:
        """Forward and backward; no gradient is added where a number is not finite."""
        targets = to_device(batch, self.device)
        images = targets.pop("image").contiguous(memory_format=self.memory_format)
        if first and self.config.loss.initial_log_variance == "first_batch":
            self._start_log_variances(images, targets)
        with self._synchronising(last):
            output = self.module(images, targets)
            row = loss_row(output)
            if is_finite(row):
                self.precision.scaler.scale(output.total * share).backward()
        return row

    def _move(self) -> None:
        """New weights from the gradients, and the average of all."""
        scaler, clip_norm = self.precision.scaler, self.config.optim.clip_norm
        if clip_norm is not None:
            scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.module.parameters(), clip_norm)
        scaler.step(self.optimizer)
        scaler.update()
        if self.criterion.log_variances is not None:
            # Outside the range its gradient is 0: it would never come back.
            self.criterion.log_variances.data.clamp_(*LOG_VARIANCE_RANGE)
        if self.average is not None:
            self.average.update_parameters(self.network)

    def _synchronising(self, last: bool) -> AbstractContextManager[None]:
        """Several processes average their gradients once a step, in its last backward pass."""
        no_sync: Any = getattr(self.module, "no_sync", nullcontext)
        return nullcontext() if last else no_sync()

    @torch.no_grad()
    def _start_log_variances(self, images: Tensor, targets: dict[str, Tensor]) -> None:
        start_log_variances(self.criterion, self.criterion(self.network(images), targets))


def _mean(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {key: sum(row[key] for row in rows) / len(rows) for key in rows[0]}
