"""The paper's Table 1: tasks alone, equal weights, searched weights, learned uncertainty.

The searched row is a grid search with as little arbitrariness as possible: weights are shares of
the total (see `shares`), the grid holds every ratio of factors 1, 3 and 9 in which at most two
sizes occur, each point is trained once for a third of the steps, and the point with the greatest
mean gain over the single tasks is trained at full length. The paper searched 0.89 : 0.01 : 0.1 for
losses in its own units, which say nothing about another data set.

Rows that the paper does not have tell apart what weights do. Equal shares are what sigma is in
equilibrium with, but constant: sigma gives a task less while its loss is high. And each task alone
with weight 1 shows what a weight does even where there is nothing to weigh against: it is a factor
of the learning rate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING

from mtl_cuda.engine.config import TrainConfig
from mtl_cuda.experiments import paper
from mtl_cuda.experiments.comparison import NOTE, gain_column, result_columns
from mtl_cuda.experiments.experiment import Experiment, Summary
from mtl_cuda.experiments.figure import draw_curves, draw_rows
from mtl_cuda.experiments.findings import finding
from mtl_cuda.experiments.measures import TASK_LABELS, Measure, mean_gain, measures
from mtl_cuda.experiments.plan import Variant
from mtl_cuda.experiments.results import Results
from mtl_cuda.experiments.shares import (
    SINGLE_NOTE,
    final_losses,
    fixed_variant,
    fixed_weights,
    single,
    single_variant,
)
from mtl_cuda.experiments.table import Column, Table
from mtl_cuda.metrics.scene import TASKS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SEARCH_SHARE = 3  # the search has a third of the steps
_PAIRS = (("semantic", "instance"), ("semantic", "depth"), ("instance", "depth"))
_LEARNED = "learned"
_SEARCHED, _EQUAL_SHARES = "searched", "equal-shares"
_ALONE = {task: single(task) for task in TASKS}
_PLAIN = {task: f"plain-{task}" for task in TASKS}


def rows(config: TrainConfig, results: Results) -> list[Variant]:
    """All rows but the searched one."""
    return [
        *(single_variant(task) for task in TASKS),
        *(
            Variant(name, f"{TASK_LABELS[task]} alone, weight 1", _loss((task,), {task: 1.0}))
            for task, name in _PLAIN.items()
        ),
        Variant("equal", "equal weights", _loss(TASKS, dict.fromkeys(TASKS, 1 / len(TASKS)))),
        *(
            Variant(f"learned-{'-'.join(pair)}", f"learned σ, {_names(pair)}", _learned(pair))
            for pair in _PAIRS
        ),
        Variant(_LEARNED, "learned σ, all three", _learned(TASKS)),
    ]


def search(config: TrainConfig, results: Results) -> list[Variant]:
    """The points of the grid, each once and shorter."""
    losses = final_losses(config, results)
    if losses is None:
        return []
    steps = {"run": {"steps": max(1, config.run.steps // _SEARCH_SHARE)}}
    points = []
    for ratio in ratios(len(TASKS)):
        shares = {task: part / sum(ratio) for task, part in zip(TASKS, ratio)}
        point = fixed_variant(f"search-{'-'.join(map(str, ratio))}", shares, losses)
        points.append(Variant(point.name, point.label, {**point.changes, **steps}, seeds=1))
    return points


def ratios(tasks: int) -> list[tuple[int, ...]]:
    """Equal parts, and every ratio of two sizes that are a factor of 3 or 9 apart."""
    return [(1,) * tasks] + [
        ratio
        for factor in (3, 9)
        for ratio in product((1, factor), repeat=tasks)
        if len(set(ratio)) == 2
    ]


def fixed(config: TrainConfig, results: Results) -> list[Variant]:
    """The best point of the grid and equal shares, as rows like any other."""
    losses = final_losses(config, results)
    best = best_point(results)
    if losses is None or best is None:
        return []
    rows = {
        _SEARCHED: ("searched weights", _ratio(best)),
        _EQUAL_SHARES: ("equal shares", (1,) * 3),
    }
    return [_fixed_row(name, label, ratio, losses) for name, (label, ratio) in rows.items()]


def _ratio(point: str) -> tuple[int, ...]:
    return tuple(int(part) for part in point.removeprefix("search-").split("-"))


def _fixed_row(name: str, label: str, ratio: Sequence[int], losses: dict[str, float]) -> Variant:
    shares = {task: part / sum(ratio) for task, part in zip(TASKS, ratio)}
    weights = fixed_weights(shares, losses)
    relative = ", ".join(f"{weight / sum(weights.values()):.2g}" for weight in weights.values())
    return Variant(name, f"{label} ({relative})", _loss(TASKS, weights))


def best_point(results: Results) -> str | None:
    """The point of the search with the greatest mean gain; None where one is missing."""
    first = results.of_first_seed()  # as `final_losses`: more seeds must not choose another point
    gains = {
        name: mean_gain(first, name, _ALONE, measures(results.config))
        for name in results.variants
        if name.startswith("search-")
    }
    if not gains or any(math.isnan(gain) for gain in gains.values()):
        return None
    return max(gains, key=lambda name: gains[name])


def summarise(results: Results) -> Summary:
    """Does learned σ reach the searched weights, and do tasks help one another?"""
    by = measures(results.config)
    alone = [*_ALONE.values(), *_PLAIN.values()]
    others = [name for name in paper.TABLE1 if name not in alone]
    others.insert(others.index(_SEARCHED), _EQUAL_SHARES)
    names = [name for name in (*alone, *others) if name in results.variants]
    gains = [mean_gain(results, name, _ALONE, by) for name in names]
    columns = [
        *result_columns(results, names, by),
        gain_column("mean gain over single tasks [%]", gains),
        *(_paper_column(names, measure) for measure in by),
    ]
    return Summary(
        findings=_findings(results, by),
        table=Table(columns),
        draw=lambda figure: _draw(figure, results, names, by),
        figure_size=(12.5, 7.8),
        notes=[
            NOTE,
            SINGLE_NOTE,
            f"The columns of the paper are another data set ({paper.DATA}), another network and "
            "another budget: compare the order of the rows, not the numbers.",
            "The searched weights (given so that they add up to 1) were chosen on the validation "
            "scenes that the table is measured on, which favours their row. "
            f"{_search_note(results)}",
        ],
    )


def _findings(results: Results, by: list[Measure]) -> list[str]:
    claims: list[tuple[str, str | dict[str, str]]] = [
        ("Learned σ is better than equal weights, as in the paper", "equal"),
        ("Learned σ is better than searched weights, as in the paper", _SEARCHED),
        ("Learned σ is better than fixed weights that give every task its share", _EQUAL_SHARES),
        ("Learned σ for three tasks is better than a network for each, as in the paper", _ALONE),
        ("Learned σ for three tasks is better than a network for each with weight 1", _PLAIN),
    ]
    found = [finding(text, results, _LEARNED, other, by) for text, other in claims]
    return [*found, *(_late_change(results, measure) for measure in by)]


def _late_change(results: Results, measure: Measure) -> str:
    """How much the single task still changed over the last quarter of the steps or more."""
    steps, values = results.curve(single(measure.task), measure.key)
    before = [pair for pair in zip(steps, values) if pair[0] <= 0.75 * results.config.run.steps]
    if not before:
        return f"Whether {TASK_LABELS[measure.task]} alone has converged was not measured."
    step, value = before[-1]
    gain = measure.gain(values[-1], value)
    return (
        f"From step {step:g} to {steps[-1]:g} {measure.label} of {TASK_LABELS[measure.task]} alone "
        f"became {abs(100 * gain):.1f} % {'better' if gain >= 0 else 'worse'}."
    )


def _search_note(results: Results) -> str:
    points = sum(name.startswith("search-") for name in results.variants)
    steps = results.config.run.steps // _SEARCH_SHARE
    best = best_point(results)
    chosen = "none was chosen" if best is None else f"chosen: {results.variants[best].label}"
    return f"Search: {points} points, one seed, {steps} steps each; {chosen}."


def _paper_column(names: list[str], measure: Measure) -> Column:
    unit, decimals = paper.UNITS[measure.task]
    cells = [paper.TABLE1.get(name, {}).get(measure.task, math.nan) for name in names]
    title = f"PAPER, {paper.DATA}: {TASK_LABELS[measure.task]} [{unit}]"
    return Column(title, cells, lambda cell: f"{cell:.{decimals}f}")


def _draw(figure: Figure, results: Results, names: list[str], by: list[Measure]) -> None:
    panels = figure.subplots(2, len(by), height_ratios=[3, 2], squeeze=False)
    labels = [results.variants[name].label for name in names]
    for column, measure in enumerate(by):
        samples = [measure.sample(results, name) for name in names]
        shown = labels if column == 0 else [""] * len(names)
        draw_rows(panels[0][column], shown, samples, measure)
        curves = {
            _ALONE[measure.task]: "alone",
            _PLAIN[measure.task]: "alone, weight 1",
            "equal": "equal weights",
            _EQUAL_SHARES: "equal shares",
            _LEARNED: "learned σ",
        }
        draw_curves(panels[1][column], results, curves, measure)


def _names(tasks: tuple[str, ...]) -> str:
    return " and ".join(TASK_LABELS[task] for task in tasks)


def _learned(tasks: tuple[str, ...]) -> dict[str, dict[str, object]]:
    return _loss(tasks, "uncertainty")


def _loss(tasks: tuple[str, ...], weighting: object) -> dict[str, dict[str, object]]:
    return {"loss": {"tasks": tasks, "weighting": weighting, "weighting_options": {}}}


def _prepare(config: TrainConfig) -> TrainConfig:
    if set(config.loss.tasks) != set(TASKS):
        raise ValueError(
            f"loss.tasks: table1 needs all of {', '.join(TASKS)}, got {list(config.loss.tasks)}"
        )
    return config


EXPERIMENT = Experiment(
    name="table1",
    title="Table 1: single tasks, fixed weights and learned uncertainty",
    stages=(rows, search, fixed),
    summarise=summarise,
    prepare=_prepare,
)
