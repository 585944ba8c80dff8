"""Figures of experiments, in one style; matplotlib is imported when something is drawn."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mtl_cuda.data.io import write_bytes
from mtl_cuda.experiments.experiment import Summary
from mtl_cuda.experiments.measures import Measure
from mtl_cuda.experiments.results import Results
from mtl_cuda.experiments.statistics import Sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#1d1f23"
COLOURS = ("#2f66b3", "#c25a14", "#2a8a57", "#8a4fb0", "#b03a55", "#6b7280", "#a08a1f", "#3b9aa8")
_STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": "#64686f",
    "axes.grid": True,
    "grid.color": "#e6e6e2",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "axes.formatter.min_exponent": 4,  # 20, not 2 x 10^1, on logarithmic axes
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.hashsalt": "mtl_cuda",  # the same drawing, the same bytes
}
_FAR_APART = 2.0


def save_figure(summary: Summary, stem: Path) -> list[Path]:
    """Write STEM.svg and STEM.png, each whole or not at all.

    Raises:
        ImportError: matplotlib is missing.
        OSError: a file cannot be written.
    """
    try:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            f"figures need matplotlib ({error}); install it, or mtl_cuda[viz]"
        ) from error
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=summary.figure_size, layout="constrained")
        FigureCanvasAgg(figure)
        summary.draw(figure)
        svg, png = io.BytesIO(), io.BytesIO()
        figure.savefig(svg, format="svg", metadata={"Date": None})
        figure.savefig(png, format="png", dpi=150)
    drawn = {stem.with_suffix(".svg"): svg, stem.with_suffix(".png"): png}
    for path, content in drawn.items():
        write_bytes(path, content.getvalue())
    return list(drawn)


def draw_rows(axes: Axes, rows: Sequence[str], samples: Sequence[Sample], measure: Measure) -> None:
    """One row per name from top to bottom: each seed as a dot, mean and spread as a bar."""
    axes.set_title(measure.title)
    scale_axis(axes, "x", samples, measure)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), rows)
    axes.grid(axis="y", visible=False)
    for row, sample in enumerate(samples):
        if sample:
            spread = 0.0 if math.isnan(sample.spread) else sample.spread
            axes.errorbar(
                sample.mean, row, xerr=spread, fmt="o", ms=4.5, capsize=3, color="#1d1f23"
            )
            axes.plot(sample.values, [row] * len(sample), ".", ms=4, color=COLOURS[0], alpha=0.7)


def draw_result_rows(
    figure: Figure, results: Results, variants: Sequence[str], by: Sequence[Measure]
) -> list[Axes]:
    """One panel per measure side by side, with a row for every variant."""
    labels = [results.variants[name].label for name in variants]
    panels = list(figure.subplots(1, len(by), sharey=True, squeeze=False)[0])
    for axes, measure in zip(panels, by):
        samples = [measure.sample(results, name) for name in variants]
        draw_rows(axes, labels, samples, measure)
    return panels


def draw_curves(
    axes: Axes, results: Results, variants: Mapping[str, str], measure: Measure
) -> None:
    """The measure over training steps, the mean over seeds, for variants with their labels.

    Errors have a logarithmic axis: those of the first steps are many times the last.
    """
    axes.set_title(f"{measure.title}, over training steps")
    if not measure.higher_is_better:
        _log_axis(axes, "y")
    for colour, (name, label) in zip(COLOURS, variants.items()):
        steps, values = results.curve(name, measure.key)
        if steps:
            shown = [measure.factor * value for value in values]
            axes.plot(steps, shown, "-o", ms=2.5, lw=1.3, color=colour, label=label)
    if axes.lines:
        axes.legend()


def scale_axis(
    axes: Axes, which: Literal["x", "y"], samples: Iterable[Sample], measure: Measure
) -> None:
    """Make the axis logarithmic where an error is many times another.

    Beside a run that diverged the others could not be told apart.
    """
    means = [sample.mean for sample in samples if sample]
    if means and not measure.higher_is_better and max(means) > _FAR_APART * min(means):
        _log_axis(axes, which)


def _log_axis(axes: Axes, which: Literal["x", "y"]) -> None:
    """Logarithmic values with several ticks to a decade, written as plain numbers."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.set(**{f"{which}scale": "log"})
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())
