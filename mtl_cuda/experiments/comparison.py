"""A table, a figure and sentences for variants that are all compared with one of them."""

from __future__ import annotations

from collections.abc import Sequence

from mtl_cuda.experiments.experiment import Summary
from mtl_cuda.experiments.figure import draw_result_rows
from mtl_cuda.experiments.findings import compared, finding
from mtl_cuda.experiments.measures import Measure, mean_gain, measures
from mtl_cuda.experiments.results import Results
from mtl_cuda.experiments.statistics import Verdict
from mtl_cuda.experiments.table import Column, Table

NOTE = (
    "Mean ± standard deviation over seeds of the last validation. Where Welch's t-test (two-sided, "
    "95 %) does not tell two means apart, they are called not distinguishable."
)


def result_columns(
    results: Results, variants: Sequence[str], by: Sequence[Measure]
) -> list[Column]:
    """The names of variants, and their samples of each measure."""
    labels = Column("", [results.variants[name].label for name in variants])
    samples = [Column(m.title, [m.sample(results, name) for name in variants], m.show) for m in by]
    return [labels, *samples]


def gain_column(title: str, gains: Sequence[float]) -> Column:
    """Relative gains in percent."""
    return Column(title, [100 * gain for gain in gains], lambda cell: f"{cell:+.1f}")


def summarise_against(results: Results, baseline: str, text: str) -> Summary:
    """Compare every variant with `baseline`.

    Args:
        results: of the experiment.
        baseline: name of a variant.
        text: the claim for each, with "{}" for the other variant's label, such as "learned σ is
            better than {}".
    """
    by = measures(results.config)
    names = [name for name in results.variants if results.records(name)]
    references = {measure.task: baseline for measure in by}
    gains = [mean_gain(results, name, references, by) for name in names]
    others = [name for name in names if name != baseline]
    findings = [_overall(results, baseline, others, by)]
    for name in others:
        claim = text.format(results.variants[name].label)
        findings.append(finding(claim, results, baseline, name, by))
    reference = results.variants[baseline].label
    columns = [
        *result_columns(results, names, by),
        gain_column(f"mean gain over {reference} [%]", gains),
    ]
    return Summary(
        findings=findings,
        table=Table(columns),
        draw=lambda figure: draw_result_rows(figure, results, names, by),
        figure_size=(3.2 * len(by) + 1.6, 0.34 * len(names) + 1.0),
        notes=[NOTE],
    )


def _overall(results: Results, baseline: str, others: Sequence[str], by: list[Measure]) -> str:
    """How often the baseline was better and worse, over all others and measures."""
    verdicts = [v for name in others for v in compared(results, baseline, name, by).values()]
    counts = {verdict: verdicts.count(verdict) for verdict in Verdict}
    return (
        f"{results.variants[baseline].label} against {len(others)} others, in {len(verdicts)} "
        f"comparisons: better in {counts[Verdict.BETTER]}, worse in {counts[Verdict.WORSE]}, not "
        f"distinguishable in {counts[Verdict.OPEN]}."
    )
