"""Likelihoods: Gaussian or Laplace for L1 losses, approximate or scaled softmax for classes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from mtl_cuda.engine.config import TrainConfig
from mtl_cuda.experiments.comparison import summarise_against
from mtl_cuda.experiments.experiment import Experiment, Summary
from mtl_cuda.experiments.plan import Variant
from mtl_cuda.experiments.results import Results

_PAPER = "softmax-gaussian"
_DEFAULTS = ("softmax", "gaussian")  # not named, so that runs equal those of other experiments


def variants(config: TrainConfig, results: Results) -> list[Variant]:
    """Every pair of the two choices that the configured tasks leave; the paper's comes first."""
    tasks = config.loss.tasks
    classes = ("softmax", "scaled_softmax") if "semantic" in tasks else ("softmax",)
    distances = ("gaussian", "laplace") if set(tasks) - {"semantic"} else ("gaussian",)
    return [_variant(tasks, *pair) for pair in product(classes, distances)]


def _variant(tasks: Sequence[str], of_classes: str, of_distances: str) -> Variant:
    chosen = {task: of_classes if task == "semantic" else of_distances for task in tasks}
    likelihoods = {task: name for task, name in chosen.items() if name not in _DEFAULTS}
    return Variant(
        f"{of_classes}-{of_distances}",
        f"{of_classes.replace('_', ' ')}, {of_distances}",
        {
            "loss": {
                "weighting": "uncertainty",
                "weighting_options": {},
                "likelihoods": likelihoods,
            }
        },
    )


def summarise(results: Results) -> Summary:
    """Is the paper's choice better than the others?"""
    return summarise_against(
        results, _PAPER, "The paper's likelihoods (softmax, Gaussian) are better than {}"
    )


EXPERIMENT = Experiment(
    name="likelihoods",
    title="Likelihoods: Gaussian or Laplace, approximate or scaled softmax",
    stages=(variants,),
    summarise=summarise,
)
