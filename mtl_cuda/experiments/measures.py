"""The main metric of every task, and how it is written."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mtl_cuda.engine.config import TrainConfig
from mtl_cuda.engine.evaluate import SELECTION
from mtl_cuda.experiments.results import Results
from mtl_cuda.experiments.statistics import Sample, Verdict, compare
from mtl_cuda.metrics import describe
from mtl_cuda.report.data import significant

TASK_LABELS = {"semantic": "semantics", "instance": "instances", "depth": "depth"}


@dataclass(frozen=True)
class Measure:
    """The main metric of a task.

    Attributes:
        task: its name.
        key: column of metrics.csv.
        label: name for people, without the unit.
        unit: of what is shown.
        factor: shown value = factor times that of metrics.csv.
        higher_is_better: or lower.
    """

    task: str
    key: str
    label: str
    unit: str
    factor: float
    higher_is_better: bool

    @property
    def title(self) -> str:
        """Name and unit."""
        return f"{self.label} [{self.unit}]"

    def sample(self, results: Results, variant: str) -> Sample:
        """Of a variant's last validations, in `unit`."""
        return results.sample(variant, self.key).times(self.factor)

    def show(self, sample: Sample) -> str:
        """Mean ± spread, with as many decimals as three digits of the mean need."""
        if not sample:
            return "–"
        decimals = 1 if self.unit == "%" else _decimals(sample.mean)
        spread = "" if len(sample) < 2 else f" ± {sample.spread:.{decimals}f}"
        return f"{sample.mean:.{decimals}f}{spread}"

    def compare(self, results: Results, a: str, b: str) -> Verdict:
        """Whether variant `a` is better than variant `b`."""
        return compare(self.sample(results, a), self.sample(results, b), self.higher_is_better)

    def gain(self, value: float, reference: float) -> float:
        """By what share of the reference a value is better; negative where it is worse."""
        change = (value - reference) / reference if reference else math.nan
        return change if self.higher_is_better else -change


def measures(config: TrainConfig) -> list[Measure]:
    """One for every task of the configuration."""
    depth_unit = "px" if config.data.depth == "disparity" else "1/m"
    found = []
    for task in config.loss.tasks:
        shown = describe(SELECTION[task], depth_unit)
        found.append(
            Measure(
                task,
                SELECTION[task],
                shown.label.removesuffix(", mean error"),
                shown.unit,
                shown.factor,
                shown.higher_is_better,
            )
        )
    return found


def mean_gain(
    results: Results, variant: str, references: dict[str, str], by: list[Measure]
) -> float:
    """The mean over the variant's tasks of the relative gain over a reference, 0.1 for 10 %.

    Source: Maninis, Radosavovic, Kokkinos, "Attentive Single-Tasking of Multiple Tasks", CVPR 2019,
    section 4, there in percent and called the average per-task drop.

    Args:
        results: of the experiment.
        variant: that is judged.
        references: by task, the variant that it is compared with.
        by: the metrics of the tasks.

    Returns:
        NaN where a result is missing.
    """
    tasks = [measure for measure in by if measure.sample(results, variant)]
    gains = [
        measure.gain(
            measure.sample(results, variant).mean,
            measure.sample(results, references[measure.task]).mean,
        )
        for measure in tasks
    ]
    return sum(gains) / len(gains) if gains else math.nan


def _decimals(value: float) -> int:
    _, _, fraction = significant(value).partition(".")
    return len(fraction) if "e" not in fraction else 6
