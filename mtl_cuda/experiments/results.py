"""What the runs of an experiment left in their metrics.csv."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtl_cuda.engine.config import TrainConfig, from_dict, to_dict
from mtl_cuda.experiments.plan import Run, Variant
from mtl_cuda.experiments.statistics import Sample
from mtl_cuda.report import read_metrics_csv

Columns = dict[str, list[float]]

METRICS, CONFIG = "metrics.csv", "config.yaml"
"""Names of the files in a run's folder with its numbers and its configuration."""
_FREE = {
    "data.workers",
    "data.timeout",
    "data.eval_batch_size",
    "run.out",
    "run.overwrite",
    "run.resume",
    "run.device",
    "run.log_every",
    "run.eval_every",
    "run.save_every",
    "run.save_minutes",
    "run.baseline_scenes",
    "run.panels",
    "run.tensorboard",
}
"""Keys that may differ between a run that is there and the one that is wanted."""


@dataclass(frozen=True)
class Record:
    """The columns of a finished run's metrics.csv: see `mtl_cuda.report.read_metrics_csv`."""

    run: Run
    train: Columns
    validation: Columns

    def final(self, key: str) -> float:
        """A metric of the last validation; NaN where the run does not have it."""
        return self.validation.get(key, [math.nan])[-1]

    def late(self, column: str, share: float = 0.1) -> float:
        """The mean of a training column over the last `share` of its rows; NaN without it."""
        values = self.train.get(column, [math.nan])
        last = values[-max(1, round(share * len(values))) :]
        return sum(last) / len(last)


def read_record(run: Run) -> Record | None:
    """The record of a run that reached its last step; None of any other.

    Raises:
        ValueError: metrics.csv is none.
    """
    path = run.folder / METRICS
    if not path.exists() or not path.read_bytes().endswith(b"\n"):  # the last row is cut off
        return None
    validation = read_metrics_csv(path, "val")
    if not validation or validation["step"][-1] != run.config.run.steps:
        return None
    return Record(run, read_metrics_csv(path, "train"), validation)


def check_same_config(run: Run) -> None:
    """Make sure that what the run's folder holds is of this configuration.

    Raises:
        ValueError: it is of another one; names the keys. Or its file cannot be read.
    """
    path = run.folder / CONFIG
    different = differences(path, run.config) if path.exists() else []
    if different:
        raise ValueError(
            f"--out: {run.folder} is a run of another configuration: {'; '.join(different)}. "
            "Choose another folder, give the same values, or remove that run"
        )


def differences(path: Path, config: TrainConfig) -> list[str]:
    """In what the configuration of a run's file differs from another, where that matters.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no configuration.
    """
    import yaml

    try:
        there = _by_key(from_dict(yaml.safe_load(path.read_text())))
    except (ValueError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise ValueError(f"{path}: cannot be read: {error}; remove {path.parent}") from error
    here = _by_key(from_dict(to_dict(config)))
    return [f"{k} was {there[k]!r} and is {here[k]!r}" for k in here if there[k] != here[k]]


def _by_key(config: TrainConfig) -> dict[str, Any]:
    return {
        f"{section}.{key}": value
        for section, values in to_dict(config).items()
        for key, value in values.items()
        if f"{section}.{key}" not in _FREE
    }


class Results:
    """The records of an experiment's runs, by variant and seed.

    Args:
        config: of the experiment, before the changes of any variant.
        out: its folder.
    """

    def __init__(self, config: TrainConfig, out: Path = Path()) -> None:
        self.config = config
        self.out = out
        self.variants: dict[str, Variant] = {}
        self._records: dict[str, dict[int, Record]] = {}

    def add(self, runs: Iterable[Run]) -> None:
        """Read those of `runs` that are finished; the variants of all of them are known then."""
        for run in runs:
            self.variants[run.variant.name] = run.variant
            record = read_record(run)
            if record is not None:
                self._records.setdefault(run.variant.name, {})[run.seed] = record

    def of_first_seed(self) -> Results:
        """The same variants with the runs of the first seed alone."""
        first, seed = Results(self.config, self.out), self.config.run.seed
        first.variants = self.variants
        for name, records in self._records.items():
            first._records[name] = {s: r for s, r in records.items() if s == seed}
        return first

    def records(self, variant: str) -> list[Record]:
        """The finished runs of a variant by seed; an empty list where there is none."""
        return [record for _, record in sorted(self._records.get(variant, {}).items())]

    def sample(self, variant: str, key: str) -> Sample:
        """A metric of the last validation over the seeds."""
        return Sample.of(record.final(key) for record in self.records(variant))

    def late(self, variant: str, column: str) -> Sample:
        """The end of a training column over the seeds: see `Record.late`."""
        return Sample.of(record.late(column) for record in self.records(variant))

    def curve(
        self, variant: str, column: str, split: str = "val"
    ) -> tuple[Sequence[float], list[float]]:
        """Steps and the mean over the seeds of a column, at the steps that every seed has."""
        curves = []
        for record in self.records(variant):
            columns = record.validation if split == "val" else record.train
            if column in columns:
                curves.append(dict(zip(columns["step"], columns[column])))
        steps = sorted(set.intersection(*(set(c) for c in curves))) if curves else []
        return steps, [sum(c[step] for c in curves) / len(curves) for step in steps]
