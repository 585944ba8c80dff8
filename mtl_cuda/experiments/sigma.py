"""Does sigma end at the same place from wherever it starts? The paper's appendix says so.

log sigma^2 of all tasks starts at -2, 0, 2.5 or 5, for several multipliers of its learning rate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mtl_cuda.engine.config import TrainConfig
from mtl_cuda.experiments.comparison import NOTE, result_columns
from mtl_cuda.experiments.experiment import Experiment, Summary
from mtl_cuda.experiments.figure import COLOURS
from mtl_cuda.experiments.findings import listed
from mtl_cuda.experiments.measures import TASK_LABELS, measures
from mtl_cuda.experiments.plan import Variant
from mtl_cuda.experiments.results import Results
from mtl_cuda.experiments.table import Column, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STARTS = (-2.0, 0.0, 2.5, 5.0)
"""Of log sigma^2: the range of the paper's appendix."""
MULTIPLIERS = (0.001, 0.01, 0.1, 1.0)
"""Of optim.log_variance_lr as configured."""
TOLERANCE = 0.2
"""Log-variances this near have met: sigmas within 10 % of one another."""


def variants(config: TrainConfig, results: Results) -> list[Variant]:
    """Every start with every multiplier."""
    return [
        Variant(
            f"lr{multiplier:g}-start{start:g}",
            f"log σ² from {start:g}, multiplier {multiplier * config.optim.log_variance_lr:g}",
            {
                "loss": {
                    "weighting": "uncertainty",
                    "weighting_options": {},
                    "initial_log_variance": start,
                },
                "optim": {"log_variance_lr": multiplier * config.optim.log_variance_lr},
            },
        )
        for multiplier in MULTIPLIERS
        for start in STARTS
    ]


@dataclass(frozen=True)
class Meeting:
    """Where the log-variances of one task came to, for one multiplier.

    Attributes:
        apart: largest minus smallest log sigma^2 at the end, over the starts; NaN where runs lack.
        since: the step from which on they are within `TOLERANCE`; NaN where they do not meet.
    """

    apart: float
    since: float

    @property
    def met(self) -> bool:
        """Whether they ended within `TOLERANCE`."""
        return self.apart <= TOLERANCE


def meeting(results: Results, multiplier: float, task: str) -> Meeting:
    """Compare the trajectories of all starts, each the mean over its seeds."""
    steps, curves = _trajectories(results, multiplier, task)
    if len(curves) < len(STARTS) or not steps:
        return Meeting(math.nan, math.nan)
    apart = [max(values) - min(values) for values in zip(*curves.values())]
    late = max(1, len(apart) // 10)
    end = sum(apart[-late:]) / late
    beyond = [i for i, distance in enumerate(apart) if distance > TOLERANCE]
    first = beyond[-1] + 1 if beyond else 0
    return Meeting(end, steps[first] if first < len(steps) and end <= TOLERANCE else math.nan)


def summarise(results: Results) -> Summary:
    """Do all trajectories meet, with which multiplier, and does the start matter for the result?"""
    by = measures(results.config)
    names = [name for name in results.variants if results.records(name)]
    tasks = results.config.loss.tasks
    ends = [
        Column(
            f"final log σ², {TASK_LABELS[task]}",
            [2 * math.log(results.late(name, f"sigma/{task}").mean) for name in names],
            lambda cell: f"{cell:.2f}",
        )
        for task in tasks
    ]
    return Summary(
        findings=_findings(results, tasks),
        table=Table([*result_columns(results, names, by), *ends]),
        draw=lambda figure: _draw(figure, results, tasks),
        figure_size=(3.6 * len(tasks) + 0.6, 2.2 * len(MULTIPLIERS)),
        notes=[
            NOTE,
            f"Log-variances have met when those from all starts lie within {TOLERANCE} (σ within "
            f"{100 * (math.exp(TOLERANCE / 2) - 1):.0f} %) over the last tenth of the steps.",
        ],
    )


def _findings(results: Results, tasks: Sequence[str]) -> list[str]:
    found, makes_it_so, missing = [], [], False
    for multiplier in MULTIPLIERS:
        actual = multiplier * results.config.optim.log_variance_lr
        meetings = {task: meeting(results, multiplier, task) for task in tasks}
        said = listed([_in_words(task, its) for task, its in meetings.items()])
        found.append(f"With optim.log_variance_lr {actual:g}: {said}.")
        missing |= any(math.isnan(its.apart) for its in meetings.values())
        if all(its.met for its in meetings.values()):
            makes_it_so.append(f"{actual:g}")
    starts = f"{min(STARTS):g} to {max(STARTS):g}"
    if makes_it_so:
        first = (
            f"From log σ² of {starts} all tasks' σ meet, as in the paper, with "
            f"optim.log_variance_lr {listed(makes_it_so)} (optim.learning_rate "
            f"{results.config.optim.learning_rate:g}, {results.config.run.steps} steps)."
        )
    elif missing:
        first = f"Whether all tasks' σ meet from log σ² of {starts} is undecided: runs are missing."
    else:
        first = (
            f"From log σ² of {starts} the σ of all tasks meet with none of the multipliers in "
            f"{results.config.run.steps} steps: the paper's observation does not hold here."
        )
    return [first, *found]


def _in_words(task: str, its: Meeting) -> str:
    if math.isnan(its.apart):
        return f"{TASK_LABELS[task]}: runs are missing"
    if not its.met:
        return f"{TASK_LABELS[task]} end {its.apart:.2g} apart in log σ²"
    when = "" if math.isnan(its.since) else f" (for good from step {its.since:g})"
    return f"{TASK_LABELS[task]} meet, {its.apart:.2g} apart{when}"


def _trajectories(
    results: Results, multiplier: float, task: str
) -> tuple[Sequence[float], dict[float, list[float]]]:
    """The steps, and log sigma^2 at them by start; of starts that have finished runs."""
    curves: dict[float, list[float]] = {}
    steps: Sequence[float] = ()
    for start in STARTS:
        name = f"lr{multiplier:g}-start{start:g}"
        found, sigmas = results.curve(name, f"sigma/{task}", "train")
        if found:
            steps, curves[start] = found, [2 * math.log(sigma) for sigma in sigmas]
    return steps, curves


def _draw(figure: Figure, results: Results, tasks: Sequence[str]) -> None:
    panels = figure.subplots(len(MULTIPLIERS), len(tasks), sharex=True, sharey=True, squeeze=False)
    for row, multiplier in zip(panels, MULTIPLIERS):
        actual = multiplier * results.config.optim.log_variance_lr
        for axes, task in zip(row, tasks):
            axes.set_title(f"log σ², {TASK_LABELS[task]}, multiplier {actual:g}")
            steps, curves = _trajectories(results, multiplier, task)
            for colour, (start, values) in zip(COLOURS, curves.items()):
                shown = [start, *values]
                axes.plot([0, *steps], shown, lw=1.3, color=colour, label=f"from {start:g}")
    if panels[0][0].lines:
        panels[0][0].legend()


EXPERIMENT = Experiment(
    name="sigma",
    title="σ from any start",
    stages=(variants,),
    summarise=summarise,
    seeds=1,
)
