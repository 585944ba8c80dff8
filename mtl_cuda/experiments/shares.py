"""Fixed weights in a unit in which tasks can be compared: the share of each in the total.

Raw losses differ by orders of magnitude, so a grid over raw weights spends most of its points where
one task drowns the others. Here a weighting is given by shares a_i that add up to 1, and the weight
of a task is

    w_i = a_i T / (2 L_i),     T = number of tasks,

with L_i the task's raw loss at the end of training it alone. Then w_i L_i = a_i T / 2. Equal shares
are the point that learned uncertainty has in equilibrium for the same losses (its optimum makes
every w_i L_i one half, see docs/maths.md), so the grid is centred there, and the total has the size
that it has under uncertainty: neither side gets another learning rate through its weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from mtl_cuda.engine.config import TrainConfig
from mtl_cuda.experiments.measures import TASK_LABELS
from mtl_cuda.experiments.plan import Variant
from mtl_cuda.experiments.results import Record, Results

SINGLE_NOTE = (
    "A task alone learns its σ as well. There is nothing to weigh it against; σ makes its steps as "
    "long as they are among other tasks, whatever the unit of its loss, so that the rows differ by "
    "what a network learns from and not by its learning rate."
)


def single(task: str) -> str:
    """Name of the variant that trains one task alone."""
    return f"single-{task}"


def single_variant(task: str) -> Variant:
    """A network for one task, whose sigma is learned too: see `SINGLE_NOTE`."""
    changes = {"loss": {"tasks": (task,), "weighting": "uncertainty", "weighting_options": {}}}
    return Variant(single(task), f"{TASK_LABELS[task]} alone", changes)


def final_losses(config: TrainConfig, results: Results) -> dict[str, float] | None:
    """Every task's raw loss at the end of training it alone, by the run of the first seed.

    The first seed alone, so that the weights stay the same when seeds are added. None where one of
    these runs is not finished.
    """
    losses = {}
    for task in config.loss.tasks:
        records = [r for r in results.records(single(task)) if r.run.seed == config.run.seed]
        if not records or not math.isfinite(records[0].late(f"loss/{task}")):
            return None
        losses[task] = records[0].late(f"loss/{task}")
    return losses


def fixed_weights(shares: Mapping[str, float], losses: Mapping[str, float]) -> dict[str, float]:
    """The weight of every task from its share and its loss: see above."""
    return {task: share * len(shares) / (2 * losses[task]) for task, share in shares.items()}


def fixed_variant(name: str, shares: Mapping[str, float], losses: Mapping[str, float]) -> Variant:
    """A variant with the fixed weights of these shares."""
    text = " : ".join(f"{share:.2g}" for share in shares.values())
    weights = fixed_weights(shares, losses)
    loss = {"tasks": tuple(shares), "weighting": weights, "weighting_options": {}}
    return Variant(name, f"fixed, shares {text}", {"loss": loss})


def reached_shares(record: Record, losses: Mapping[str, float]) -> dict[str, float]:
    """The shares that the weights of a run had at its end, at the losses of `fixed_weights`."""
    products = {task: record.late(f"weight/{task}") * loss for task, loss in losses.items()}
    return {task: product / sum(products.values()) for task, product in products.items()}
