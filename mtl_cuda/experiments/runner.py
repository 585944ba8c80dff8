"""Run an experiment: plan, train what is missing, collect."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from mtl_cuda.engine.config import TrainConfig
from mtl_cuda.experiments.experiment import Experiment
from mtl_cuda.experiments.lock import locked
from mtl_cuda.experiments.plan import Run, plan_runs
from mtl_cuda.experiments.pool import LOG, Outcome, RunPool
from mtl_cuda.experiments.results import Results, check_same_config, read_record
from mtl_cuda.experiments.reuse import reuse_runs


class Pool(Protocol):
    """What trains runs: see `RunPool`."""

    stopped_by: signal.Signals | None

    def train(self, runs: Sequence[Run], report: Callable[[Outcome], None]) -> list[Outcome]:
        """Train all of them."""


@dataclass
class Conclusion:
    """What is known when an experiment ends.

    Attributes:
        results: of all runs that are finished.
        failures: runs that broke.
        stopped_by: the signal that stopped the experiment.
    """

    results: Results
    failures: list[Outcome] = field(default_factory=list)
    stopped_by: signal.Signals | None = None

    @property
    def exit_code(self) -> int:
        """0; 2 where a run failed; 130 or 143 where Ctrl-C or SIGTERM stopped the experiment."""
        if self.stopped_by is not None:
            return 128 + self.stopped_by
        return 2 if self.failures else 0


def run_stages(
    experiment: Experiment,
    config: TrainConfig,
    out: Path,
    seeds: int,
    jobs: int,
    *,
    reuse: Sequence[Path] = (),
    say: Callable[[str], None] = print,
    pool: AbstractContextManager[Pool] | None = None,
) -> Conclusion:
    """Train what is missing of an experiment, stage by stage; finished runs are skipped.

    Args:
        experiment: what to run.
        config: that its variants change.
        out: folder of the experiment.
        seeds: runs per variant.
        jobs: runs at a time; they share the cores.
        reuse: folders of other experiments, whose finished runs of the same configuration and seed
            are taken over.
        say: takes one line for every run.
        pool: what trains; None is a `RunPool`.

    Raises:
        ValueError: the configuration does not suit the experiment, a number is below 1, or `out`
            holds runs of another configuration or is in use by another process.
        FileNotFoundError: a folder of `reuse` has no runs.
    """
    if seeds < 1 or jobs < 1:
        raise ValueError(f"seeds, jobs: expected at least 1 each, got {seeds} and {jobs}")
    if config.run.minutes is not None:
        raise ValueError("run.minutes: all runs of an experiment have run.steps; set that")
    config = experiment.prepare(config)
    conclusion = Conclusion(Results(config, out))
    with locked(out), pool or RunPool(jobs, max(1, cores() // jobs)) as workers:
        for number, stage in enumerate(experiment.stages, start=1):
            runs = plan_runs(config, stage(config, conclusion.results), seeds, out)
            for run in runs:
                check_same_config(run)
            missing = [run for run in runs if read_record(run) is None]
            said = f"{len(runs) - len(missing)} of them finished before"
            reused = reuse_runs(missing, reuse)
            if reused:
                missing = [run for run in missing if run not in reused]
                said += f", {len(reused)} in another experiment"
            say(f"stage {number} of {len(experiment.stages)}: {len(runs)} runs, {said}")
            report = _Report(len(missing), jobs, say)
            outcomes = workers.train(missing, report) if missing else []
            if workers.stopped_by is None:
                outcomes = [_stopped_alone(one) if one.stopped else one for one in outcomes]
            conclusion.failures += [outcome for outcome in outcomes if outcome.error is not None]
            conclusion.results.add(runs)
            if workers.stopped_by is not None:
                conclusion.stopped_by = workers.stopped_by
                break
    return conclusion


def _stopped_alone(outcome: Outcome) -> Outcome:
    return replace(outcome, error="a signal to its process stopped it; the next call goes on")


def cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Report:
    """Says of every run how it ended, and how long the rest of the stage will take."""

    def __init__(self, runs: int, jobs: int, say: Callable[[str], None]) -> None:
        self._runs, self._jobs, self._say = runs, jobs, say
        self._done = 0
        self._seconds = 0.0

    def __call__(self, outcome: Outcome) -> None:
        self._done += 1
        self._seconds += outcome.seconds
        how = f"{outcome.seconds:.0f} s"
        if outcome.stopped:
            how = "stopped; it goes on with the next call"
        elif outcome.error is not None:
            how = f"FAILED: {outcome.error} (see {outcome.run.folder / LOG})"
        left = self._runs - self._done
        minutes = self._seconds / self._done * left / min(self._jobs, max(left, 1)) / 60
        more = f"; about {minutes:.0f} min for the other {left}" if left else ""
        self._say(f"  {self._done}/{self._runs} {outcome.run.name}: {how}{more}")
