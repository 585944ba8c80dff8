"""The training loop."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch

from mtl_cuda.data.io import write_bytes
from mtl_cuda.engine.budget import TimeBudget
from mtl_cuda.engine.build import (
    build_criterion,
    build_network,
    open_source,
    pick_device,
)
from mtl_cuda.engine.checkpoint.folder import Checkpoint, RunFolder
from mtl_cuda.engine.checkpoint.resume import check_same_run, find_checkpoint
from mtl_cuda.engine.checkpoint.state import Stateful, apply_run, capture_run, seed_generators
from mtl_cuda.engine.config import TrainConfig, to_yaml
from mtl_cuda.engine.determinism import deterministic_algorithms
from mtl_cuda.engine.distributed import ALONE, Ranks
from mtl_cuda.engine.evaluate import (
    constant_prediction,
    describe_metrics,
    evaluate_constant,
    measure,
    selection_score,
)
from mtl_cuda.engine.learner import Learner
from mtl_cuda.engine.loading import (
    Batch,
    Position,
    evaluation_batches,
    training_batches,
)
from mtl_cuda.engine.logging import (
    Progress,
    StepMeter,
    csv_columns,
    describe_losses,
    describe_speed,
)
from mtl_cuda.engine.runlog import Panels, RunLog
from mtl_cuda.engine.signals import Stopped, StopRequest
from mtl_cuda.engine.tensorboard import wants_tensorboard


@dataclass(frozen=True)
class TrainResult:
    """What a run reached.

    Attributes:
        metrics: of the last evaluation.
        baseline: the same for the constant prediction.
        steps: training steps done.
        seconds: time that training and its evaluations took.
        stopped_by: the signal that stopped it before its end; `metrics` may then be older than the
            weights.
    """

    metrics: dict[str, float]
    baseline: dict[str, float]
    steps: int
    seconds: float
    stopped_by: signal.Signals | None

    @property
    def exit_code(self) -> int:
        """0 at the end of the run; 130 after Ctrl-C, 143 after SIGTERM, as of shells."""
        return 0 if self.stopped_by is None else 128 + self.stopped_by


class Trainer:
    """Everything that a run consists of, built from its configuration, or where it went on from.

    Args:
        config: of the run.
        ranks: the processes that train together, each with a `Trainer` of its own on its part of
            every batch; the main one alone writes.

    Attributes:
        draw_panels: makes the pictures that TensorBoard shows after an evaluation, if set.

    Raises:
        FileNotFoundError, ValueError: the data set, the weights of the backbone, a value of the
            configuration or the checkpoint to go on from cannot be used.
        FileExistsError: the output folder already holds a run.
    """

    def __init__(self, config: TrainConfig, ranks: Ranks = ALONE) -> None:
        self.config = config
        self.ranks = ranks
        self.device = pick_device(ranks.device_name(config.run.device))
        self.tensorboard = wants_tensorboard(config.run.tensorboard)
        self.draw_panels: Callable[[], Panels] | None = None
        self.train_source = open_source(config, config.data.train_split)
        self.val_source = open_source(config, config.data.val_split)
        self.info = self.train_source.info
        start = find_checkpoint(config, ranks)
        if start is not None:
            check_same_run(start, config, len(self.train_source))
        seed_generators(config.run.seed)
        self.criterion = build_criterion(config.loss, self.info).to(self.device)
        self.network = build_network(
            config.model, self.criterion.tasks, pretrained=start is None
        ).to(self.device)
        self.learner = Learner(self.network, self.criterion, config, self.device)
        self.learner.module = ranks.wrapped(self.learner.module)
        if not ranks.is_main:  # the weights are the same everywhere, dropout is not
            seed_generators(config.run.seed + ranks.index)
        self.meter = StepMeter()
        self.parts: dict[str, Stateful] = {**self.learner.parts, "meter": self.meter}
        self.step = 0
        self.steps = config.run.steps
        self.position = Position()
        self.evaluated = 0  # the step of the last evaluation
        self.seconds = 0.0
        self.threads = torch.get_num_threads()
        self.metrics: dict[str, float] = {}
        self.baseline: dict[str, float] = {}
        self.best_score = -math.inf
        self.folder = RunFolder(Path(config.run.out))
        self.out = self.folder.path
        self.resumed = None if start is None else start.path
        if start is not None:
            apply_run(self, start)
        ranks.on_main(lambda: self._take_folder(start))

    def fit(self) -> TrainResult:
        """Train to the end, evaluating and writing checkpoints on the way.

        Ctrl-C and SIGTERM finish the step or leave the evaluation, write a checkpoint and return.

        Raises:
            NonFiniteLossError: checkpoints are left as they were.
            OSError: a checkpoint could not be written; those before it are left as they were.
        """
        self._started = time.monotonic() - self.seconds
        self._saved = time.monotonic()
        stopped_by = None
        with (
            StopRequest(self.ranks) as stop,
            deterministic_algorithms(self.config.run.deterministic, self.threads),
        ):
            try:
                # First of all, so that a data set that cannot be evaluated is told before hours
                # pass.
                self.baseline = self.baseline or self._evaluate_constant(stop)
                with self._open_log() as log, self._show_progress() as progress:
                    self._train(stop, log, progress)
            except Stopped:
                stopped_by = stop.signal
                self._save()
        self.seconds = time.monotonic() - self._started
        return TrainResult(self.metrics, self.baseline, self.step, self.seconds, stopped_by)

    def _train(self, stop: StopRequest, log: RunLog, progress: Progress) -> None:
        run, data = self.config.run, self.config.data
        budget = None
        if run.minutes is not None:
            left = max(0.0, run.minutes - self.seconds / 60)
            budget = TimeBudget(left, self.steps, run.steps, self.step)
        samples = training_batches(self.train_source, data, run.seed, self.position, self.ranks)
        with closing(samples):  # ends its processes, whatever happens here
            batches = self.meter.watching(samples)
            if self._evaluate_if_due(stop, log, progress):  # a stop may have come before it
                self._save()
            while self.step < self.steps:
                stop.check()
                with self.meter.timing(data.batch_size * self.config.optim.accumulate):
                    row = self.train_step(*islice(batches, self.config.optim.accumulate))
                self.meter.add(row)
                speed = describe_speed(self.meter.speed())
                progress.show(self.step, f"{describe_losses(row)}  {speed}")
                save_is_due = self._ask_the_clock(budget, progress)
                if self.step % run.log_every == 0 or self.step == self.steps:
                    log.write(self.step, "train", self.meter.means())
                if self._evaluate_if_due(stop, log, progress) or save_is_due:
                    self._save()

    def train_step(self, *batches: Batch) -> dict[str, float]:
        """Learn from the batches of a step; returns a training row of metrics.csv but its speed.

        Raises:
            NonFiniteLossError: see `Learner.learn`.
        """
        row = self.learner.learn(batches, self.step, self.steps)
        self.step += 1
        scenes = self.config.data.batch_size * self.config.optim.accumulate
        if self.step % max(1, len(self.train_source) // scenes) == 0:
            self.criterion.end_epoch()
        return row

    def _take_folder(self, start: Checkpoint | None) -> None:
        run = self.config.run
        if start is None or start.path.resolve().parent != self.out.resolve():
            self.folder.claim(run.overwrite or run.resume == "auto")
        write_bytes(self.out / "config.yaml", to_yaml(self.config).encode())

    def _open_log(self) -> RunLog:
        columns = csv_columns(self.criterion.tasks, self.baseline)
        kept = {"train": self.step, "val": self.evaluated}
        return RunLog(self.out if self.ranks.is_main else None, columns, kept, self.tensorboard)

    def _show_progress(self) -> Progress:
        return Progress(self.steps, self.step, quiet=not self.ranks.is_main)

    def _ask_the_clock(self, budget: TimeBudget | None, progress: Progress) -> bool:
        """Adopt the steps that fit the time; returns whether it is time for a checkpoint.

        The clock of the main process decides for all.
        """
        run, minutes = self.config.run, (time.monotonic() - self._saved) / 60
        old = run.save_minutes is not None and minutes >= run.save_minutes
        planned = self.steps if budget is None else budget.plan(self.step)
        if not self.ranks.is_main:
            old, planned = False, 0
        steps, due = self.ranks.largest([planned, old])
        if steps != self.steps and self.steps == run.steps:
            progress.say(f"about {steps} steps fit into {run.minutes:.3g} minutes")
        if steps != self.steps:
            self.steps = steps
            progress.set_steps(steps)
        return bool(due) or (run.save_every is not None and self.step % run.save_every == 0)

    def _evaluate_if_due(self, stop: StopRequest, log: RunLog, progress: Progress) -> bool:
        every = self.config.run.eval_every
        due = self.step == self.steps or (every is not None and self.step % every == 0)
        if not due or self.evaluated == self.step:
            return False
        own = evaluation_batches(self.val_source, self.config.data, ranks=self.ranks)
        tasks = tuple(self.criterion.tasks)
        predictor = self.learner.predictor
        self.ranks.share_buffers(predictor)  # running statistics differ until the next step
        measured = measure(
            predictor, stop.between(own), self.info, tasks, self.device, ranks=self.ranks
        )
        self.metrics = measured.compute()
        self.evaluated = self.step
        log.write(self.step, "val", self.metrics)
        log.write_confusion(measured.confusion(), self.info.class_names)
        log.write_panels(self.step, self.draw_panels)
        progress.say(f"step {self.step}: {describe_metrics(self.metrics, self.info.depth_unit)}")
        return True

    def _evaluate_constant(self, stop: StopRequest) -> dict[str, float]:
        data, ranks, tasks = self.config.data, self.ranks, tuple(self.criterion.tasks)
        scenes = self.config.run.baseline_scenes
        training = stop.between(evaluation_batches(self.train_source, data, scenes, ranks))
        constants = constant_prediction(training, self.info, tasks, ranks)
        validation = stop.between(evaluation_batches(self.val_source, data, ranks=ranks))
        return evaluate_constant(constants, validation, self.info, tasks, ranks)

    def _save(self) -> None:
        """Write last.pt; and best.pt too where the last evaluation was the best so far."""
        self.seconds = time.monotonic() - self._started
        score = selection_score(self.metrics, self.baseline)
        best = self.evaluated == self.step and score > self.best_score
        if best:
            self.best_score = score
        state = capture_run(self)
        self.ranks.on_main(lambda: self.folder.save(state, best))
        self._saved = time.monotonic()
