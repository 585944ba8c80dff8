"""Performance over fixed weights for two tasks, beside what uncertainty learns: Figure 2 there.

The weights are shares of the total (see `shares`), from nearly nothing for the first task to nearly
everything; the ends are the tasks alone.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from mtl_cuda.engine.config import TrainConfig
from mtl_cuda.experiments.comparison import NOTE, gain_column, result_columns
from mtl_cuda.experiments.experiment import Experiment, Summary
from mtl_cuda.experiments.figure import COLOURS, INK, scale_axis
from mtl_cuda.experiments.findings import finding
from mtl_cuda.experiments.measures import TASK_LABELS, Measure, mean_gain, measures
from mtl_cuda.experiments.plan import Variant
from mtl_cuda.experiments.results import Results
from mtl_cuda.experiments.shares import (
    SINGLE_NOTE,
    final_losses,
    fixed_variant,
    reached_shares,
    single,
    single_variant,
)
from mtl_cuda.experiments.table import Column, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHARES = (0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98)
"""Of the first task."""
_LEARNED = "learned"
_PAPERS_PAIR = ("semantic", "depth")


def ends(config: TrainConfig, results: Results) -> list[Variant]:
    """Each task alone, and both with learned weights."""
    changes = {"loss": {"weighting": "uncertainty", "weighting_options": {}}}
    return [
        *(single_variant(task) for task in config.loss.tasks),
        Variant(_LEARNED, "learned σ", changes),
    ]


def sweep(config: TrainConfig, results: Results) -> list[Variant]:
    """The fixed weights."""
    losses = final_losses(config, results)
    if losses is None:
        return []
    first, second = config.loss.tasks
    return [
        fixed_variant(f"share-{share:g}", {first: share, second: 1 - share}, losses)
        for share in SHARES
    ]


def summarise(results: Results) -> Summary:
    """How much does performance depend on the weights, and does learned σ reach the best?"""
    by = measures(results.config)
    names = list(results.variants)
    references = {measure.task: single(measure.task) for measure in by}
    gains = {name: mean_gain(results, name, references, by) for name in names}
    shares = _shares(results, names)
    first = TASK_LABELS[results.config.loss.tasks[0]]
    columns = [
        *result_columns(results, names, by),
        Column(f"share of {first}", shares, lambda cell: f"{cell:.2f}"),
        gain_column("mean gain over single tasks [%]", list(gains.values())),
    ]
    return Summary(
        findings=_findings(results, by, gains),
        table=Table(columns),
        draw=lambda figure: _draw(figure, results, by),
        figure_size=(9.5, 3.6),
        notes=[
            NOTE,
            SINGLE_NOTE,
            "A share is the part of the total that a task has at the losses with which single "
            "tasks end; that of learned σ is where its weights ended. The best fixed weights are "
            "chosen on the validation scenes that the table is measured on, which favours them.",
        ],
    )


def _shares(results: Results, names: list[str]) -> list[float]:
    """The first task's share in every variant; NaN where it is unknown."""
    first, second = results.config.loss.tasks
    known = {single(first): 1.0, single(second): 0.0, _LEARNED: learned_share(results)}
    return [known[name] if name in known else float(name.removeprefix("share-")) for name in names]


def learned_share(results: Results) -> float:
    """The mean share of the first task that the learned weights reach."""
    losses = final_losses(results.config, results)
    records = results.records(_LEARNED)
    if losses is None or not records:
        return math.nan
    first = results.config.loss.tasks[0]
    return sum(reached_shares(record, losses)[first] for record in records) / len(records)


def _findings(results: Results, by: list[Measure], gains: dict[str, float]) -> list[str]:
    fixed = {n: g for n, g in gains.items() if n.startswith("share-") and not math.isnan(g)}
    if not fixed:
        return ["No fixed weights have been trained yet."]
    best, worst = max(fixed, key=lambda n: fixed[n]), min(fixed, key=lambda n: fixed[n])
    learned = "undecided, its runs are missing"
    if not math.isnan(gains[_LEARNED]):
        label = TASK_LABELS[by[0].task]
        share = f"with a share of {learned_share(results):.2f} for {label}"
        learned = f"{100 * gains[_LEARNED]:+.1f} %, {share}"
    found = [
        f"Over fixed weights the mean gain over single tasks goes from {100 * fixed[worst]:+.1f} % "
        f"to {100 * fixed[best]:+.1f} %; learned σ: {learned}."
    ]
    text = "Performance depends on the weights (the best fixed ones against the worst)"
    found.append(finding(text, results, best, worst, by))
    text = "Learned σ is better than the best fixed weights, as in the paper"
    found.append(finding(text, results, _LEARNED, best, by))
    return found


def _draw(figure: Figure, results: Results, by: list[Measure]) -> None:
    panels = figure.subplots(1, len(by), squeeze=False)[0]
    names = [name for name in results.variants if name != _LEARNED]
    points = sorted((share, name) for share, name in zip(_shares(results, names), names))
    learned = learned_share(results)
    for axes, measure, colour in zip(panels, by, COLOURS):
        found = [(share, measure.sample(results, name)) for share, name in points]
        found = [(share, sample) for share, sample in found if sample]
        scale_axis(axes, "y", (sample for _, sample in found), measure)
        axes.errorbar(
            [share for share, _ in found],
            [sample.mean for _, sample in found],
            [0.0 if math.isnan(sample.spread) else sample.spread for _, sample in found],
            fmt="-o", ms=4, lw=1.3, capsize=3, color=colour, label="fixed weights",
        )  # fmt: skip
        sample = measure.sample(results, _LEARNED)
        if sample:
            spread = 0.0 if math.isnan(sample.spread) else sample.spread
            axes.axhline(sample.mean, color=INK, lw=0.8, ls=":")
            axes.errorbar(
                [learned], [sample.mean], [spread],
                fmt="*", ms=10, capsize=3, color=INK, label="learned σ",
            )  # fmt: skip
        axes.set_title(measure.title)
        axes.set_xlabel(f"share of {TASK_LABELS[results.config.loss.tasks[0]]} in the loss")
        if found:
            axes.legend()


def _prepare(config: TrainConfig) -> TrainConfig:
    """Two tasks: those configured, or of all three the pair of the paper's figure."""
    tasks = config.loss.tasks
    if len(tasks) == 3:
        return replace(config, loss=replace(config.loss, tasks=_PAPERS_PAIR))
    if len(tasks) != 2:
        raise ValueError(f"loss.tasks: sweep needs two tasks, got {list(tasks)}")
    return config


EXPERIMENT = Experiment(
    name="sweep",
    title="Fixed weights for two tasks, and what is learned",
    stages=(ends, sweep),
    summarise=summarise,
    prepare=_prepare,
)
