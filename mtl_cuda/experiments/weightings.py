"""Every weighting of the package, beside learned uncertainty."""

from __future__ import annotations

from mtl_cuda.engine.config import TrainConfig
from mtl_cuda.experiments.comparison import summarise_against
from mtl_cuda.experiments.experiment import Experiment, Summary
from mtl_cuda.experiments.plan import Variant
from mtl_cuda.experiments.results import Results
from mtl_cuda.weighting import NAMES


def variants(config: TrainConfig, results: Results) -> list[Variant]:
    """One for each name, with the options that the scheme has by default."""
    return [
        Variant(name, name, {"loss": {"weighting": name, "weighting_options": {}}})
        for name in NAMES
    ]


def summarise(results: Results) -> Summary:
    """Is learned uncertainty better than the others?"""
    return summarise_against(results, "uncertainty", "Learned uncertainty is better than {}")


EXPERIMENT = Experiment(
    name="weightings",
    title="Weightings: learned uncertainty and the other schemes",
    stages=(variants,),
    summarise=summarise,
)
