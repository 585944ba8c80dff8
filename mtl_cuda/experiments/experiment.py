"""What an experiment is, and what comes out of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mtl_cuda.engine.config import TrainConfig
from mtl_cuda.experiments.plan import Variant
from mtl_cuda.experiments.results import Results
from mtl_cuda.experiments.table import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Stage = Callable[[TrainConfig, Results], list[Variant]]
"""Variants to train, given the results of the stages before; an empty list where they lack what
this one needs."""


@dataclass(frozen=True)
class Summary:
    """What an experiment found.

    Attributes:
        findings: sentences, the most important first, computed from the numbers.
        table: of all variants.
        draw: draws on an empty figure.
        figure_size: width and height of it in inches.
        notes: how to read the table.
    """

    findings: Sequence[str]
    table: Table
    draw: Callable[[Figure], object]
    figure_size: tuple[float, float]
    notes: Sequence[str] = ()


def unchanged(config: TrainConfig) -> TrainConfig:
    """For experiments that take any configuration."""
    return config


@dataclass(frozen=True)
class Experiment:
    """A question, the runs that answer it, and how their answer is told.

    Attributes:
        name: on the command line, and of its files.
        title: of its page.
        stages: the runs, those first whose results later ones need.
        summarise: makes the summary of whatever was finished.
        prepare: the configuration that the experiment starts from; ValueError where it cannot.
        seeds: how many where nothing is said.
    """

    name: str
    title: str
    stages: tuple[Stage, ...]
    summarise: Callable[[Results], Summary]
    prepare: Callable[[TrainConfig], TrainConfig] = unchanged
    seeds: int = 3
