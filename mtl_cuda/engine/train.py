"""The training loop."""

from __future__ import annotations

import dataclasses
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mtl_cuda.engine.budget import TimeBudget
from mtl_cuda.engine.build import (
    build_criterion,
    build_network,
    open_source,
    pick_device,
    start_log_variances,
)
from mtl_cuda.engine.checkpoint import save_checkpoint
from mtl_cuda.engine.config import TrainConfig, to_dict, to_yaml
from mtl_cuda.engine.evaluate import (
    constant_prediction,
    describe_metrics,
    evaluate,
    evaluate_constant,
    selection_score,
)
from mtl_cuda.engine.loading import Batch, evaluation_batches, to_device, training_batches
from mtl_cuda.engine.logging import (
    MetricsLog,
    Progress,
    StepMeter,
    csv_columns,
    describe_losses,
    loss_row,
)
from mtl_cuda.engine.optim import build_optimizer, poly_learning_rate, set_learning_rate
from mtl_cuda.engine.signals import InterruptRequest
from mtl_cuda.modules import MultiTaskLossOutput


class NonFiniteLossError(RuntimeError):
    """A loss became infinite or NaN; the message names the step and the samples."""


@dataclass(frozen=True)
class TrainResult:
    """What a run reached.

    Attributes:
        metrics: of the last evaluation.
        baseline: the same for the constant prediction.
        steps: training steps done.
        seconds: time that training and its evaluations took.
        interrupted: it was stopped before its end; `metrics` may be older than the weights.
    """

    metrics: dict[str, float]
    baseline: dict[str, float]
    steps: int
    seconds: float
    interrupted: bool


class Trainer:
    """Everything that a run consists of, built from its configuration alone.

    Raises:
        FileNotFoundError, ValueError: the data set, the weights of the backbone or a value of the
            configuration cannot be used.
        FileExistsError: the output folder already holds a run.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.device = pick_device(config.run.device)
        self.train_source = open_source(config, config.data.train_split)
        self.val_source = open_source(config, config.data.val_split)
        self.info = self.train_source.info
        torch.manual_seed(config.run.seed)
        self.criterion = build_criterion(config.loss, self.info).to(self.device)
        self.memory_format = (
            torch.channels_last if config.run.channels_last else torch.contiguous_format
        )
        self.network = build_network(config.model, self.criterion.tasks).to(self.device)
        self.network.to(memory_format=self.memory_format)  # type: ignore[call-overload]
        self.optimizer = build_optimizer(self.network, self.criterion, config.optim)
        self.step = 0
        self.steps = config.run.steps
        self.metrics: dict[str, float] = {}
        self.baseline: dict[str, float] = {}
        self.best_score = -math.inf
        self.out = _claim_folder(Path(config.run.out), config.run.overwrite)
        (self.out / "config.yaml").write_text(to_yaml(config))

    def fit(self) -> TrainResult:
        """Train to the end, evaluating and writing checkpoints on the way.

        Ctrl-C finishes the step, writes a checkpoint and returns.

        Raises:
            NonFiniteLossError: checkpoints are left as they were.
        """
        run = self.config.run
        start = time.monotonic()
        # First of all, so that a data set that cannot be evaluated is told before hours pass.
        self.baseline = self._evaluate_constant()
        columns = csv_columns(self.criterion.tasks, self.baseline)
        with (
            InterruptRequest() as interrupt,
            MetricsLog(self.out / "metrics.csv", columns) as log,
            Progress(self.steps) as progress,
        ):
            budget = TimeBudget(run.minutes, self.steps) if run.minutes is not None else None
            batches = training_batches(self.train_source, self.config.data, run.seed)
            meter = StepMeter()
            while self.step < self.steps and not interrupt.requested:
                with meter.timing(self.config.data.batch_size):
                    row = self.train_step(next(batches))
                meter.add(row)
                progress.show(self.step, describe_losses(row))
                if budget is not None:
                    self._follow(budget, progress)
                if self.step % run.log_every == 0 or self.step == self.steps:
                    log.write(self.step, "train", meter.means())
                if self._evaluation_is_due():
                    self._evaluate(log, progress)
                    self._save()
            if interrupt.requested:
                self._save()
        return TrainResult(
            self.metrics,
            self.baseline,
            self.step,
            time.monotonic() - start,
            interrupted=self.step < self.steps,
        )

    def train_step(self, batch: Batch) -> dict[str, float]:
        """Learn from one batch; returns one training row of metrics.csv without its speed.

        Raises:
            NonFiniteLossError: before any weight is changed.
        """
        learning_rate = poly_learning_rate(self.config.optim, self.step, self.steps)
        set_learning_rate(self.optimizer, learning_rate)
        targets = to_device(batch, self.device)
        images = targets.pop("image").contiguous(memory_format=self.memory_format)
        self.network.train()
        if self.step == 0 and self.config.loss.initial_log_variance == "first_batch":
            start_log_variances(self.criterion, self._raw_losses(images, targets))
        shared = self.network.aspp.project.parameters()  # the last layer of all tasks
        output = self.criterion(self.network(images), targets, shared)
        row = loss_row(output)
        if not all(math.isfinite(value) for value in row.values()):
            raise NonFiniteLossError(
                f"step {self.step}: the loss is not finite ({describe_losses(row)}); samples: "
                f"{', '.join(batch['name'])}. A lower optim.learning_rate or an optim.clip_norm "
                "may help"
            )
        self.optimizer.zero_grad(set_to_none=True)
        output.total.backward()
        if self.config.optim.clip_norm is not None:
            parameters = [*self.network.parameters(), *self.criterion.parameters()]
            torch.nn.utils.clip_grad_norm_(parameters, self.config.optim.clip_norm)
        self.optimizer.step()
        self.step += 1
        if self.step % (len(self.train_source) // self.config.data.batch_size) == 0:
            self.criterion.end_epoch()
        return {**row, "lr": learning_rate}

    def state(self) -> dict[str, Any]:
        """All that a checkpoint holds: numbers, strings, tuples, dicts and tensors."""
        return {
            "model": self.network.state_dict(),
            "criterion": self.criterion.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "steps": self.steps,
            "config": to_dict(self.config),
            "info": dataclasses.asdict(self.info),
            "metrics": dict(self.metrics),
            "baseline": dict(self.baseline),
            "best_score": self.best_score,
        }

    @torch.no_grad()
    def _raw_losses(self, images: Tensor, targets: dict[str, Tensor]) -> MultiTaskLossOutput:
        return self.criterion(self.network(images), targets)

    def _follow(self, budget: TimeBudget, progress: Progress) -> None:
        """Adopt the number of steps that fits the time, and say so the first time."""
        steps = budget.plan(self.step)
        if steps == self.steps:
            return
        if self.steps == self.config.run.steps:
            progress.say(f"about {steps} steps fit into {self.config.run.minutes:.3g} minutes")
        self.steps = steps
        progress.set_steps(steps)

    def _evaluation_is_due(self) -> bool:
        every = self.config.run.eval_every
        return self.step == self.steps or (every is not None and self.step % every == 0)

    def _evaluate(self, log: MetricsLog, progress: Progress) -> None:
        batches = evaluation_batches(self.val_source, self.config.data)
        tasks = tuple(self.criterion.tasks)
        self.metrics = evaluate(self.network, batches, self.info, tasks, self.device)
        log.write(self.step, "val", self.metrics)
        progress.say(f"step {self.step}: {describe_metrics(self.metrics, self.info.depth_unit)}")

    def _evaluate_constant(self) -> dict[str, float]:
        data, tasks = self.config.data, tuple(self.criterion.tasks)
        scenes = evaluation_batches(self.train_source, data, self.config.run.baseline_scenes)
        constants = constant_prediction(scenes, self.info, tasks)
        return evaluate_constant(
            constants, evaluation_batches(self.val_source, data), self.info, tasks
        )

    def _save(self) -> None:
        """Write last.pt; and best.pt too where the last evaluation was the best so far."""
        score = selection_score(self.metrics, self.baseline)
        better = score > self.best_score
        if better:
            self.best_score = score
        state = self.state()
        save_checkpoint(self.out / "last.pt", state)
        if better:
            save_checkpoint(self.out / "best.pt", state)


def _claim_folder(out: Path, overwrite: bool) -> Path:
    """Make the output folder; one that holds a run is taken only where that is wanted."""
    if (out / "metrics.csv").exists() and not overwrite:
        raise FileExistsError(
            f"run.out: {out} already holds a run; choose another folder, or set run.overwrite"
        )
    out.mkdir(parents=True, exist_ok=True)
    return out
