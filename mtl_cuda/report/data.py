"""What a report shows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mtl_cuda.metrics import describe, is_per_class

_IN_HEADLINE = ("semantic/miou", "instance/mean_error", "depth/mean_error")


@dataclass(frozen=True)
class MetricRow:
    """A metric of the network beside that of the best constant prediction, both in `unit`.

    Attributes:
        key: name of the column in metrics.csv.
        label: name for people.
        value: of the network; NaN is unknown.
        baseline: of the constant prediction; NaN is unknown.
        unit: "%", "px", "1/m".
        higher_is_better: or lower.
        factor: value = factor times the number in metrics.csv.
    """

    key: str
    label: str
    value: float
    baseline: float
    unit: str
    higher_is_better: bool
    factor: float = 1.0

    @property
    def in_headline(self) -> bool:
        """Whether this is the main metric of its task."""
        return self.key in _IN_HEADLINE


@dataclass
class ReportData:
    """Everything on the page. Whatever is left empty is left out.

    Attributes:
        title: heading of the page.
        headline: the result in one sentence, see :func:`summarise`.
        metrics: see :func:`metric_rows`.
        train: rows of the training, see :func:`read_metrics_csv`.
        validation: rows of the validation, likewise.
        depth_unit: "1/m", "px" or None.
        class_iou: IoU 0..1 by class name; NaN where a class does not occur.
        class_colours: (red, green, blue) 0..255 by class name.
        confusion: names of C classes, and pixels [C, C + 1]: row = true class, column = predicted
            one, the last for none.
        panels: captions and pictures, uint8 [H, W, 3], RGB.
        configuration: text of the configuration file.
        environment: versions and devices by name.
        notes: paragraphs below the metrics.
    """

    title: str
    headline: str
    metrics: Sequence[MetricRow] = ()
    train: Mapping[str, Sequence[float]] = field(default_factory=dict)
    validation: Mapping[str, Sequence[float]] = field(default_factory=dict)
    depth_unit: str | None = None
    class_iou: Mapping[str, float] = field(default_factory=dict)
    class_colours: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    confusion: tuple[Sequence[str], npt.NDArray[np.int64]] | None = None
    panels: Sequence[tuple[str, npt.NDArray[np.uint8]]] = ()
    configuration: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()


def metric_rows(
    metrics: Mapping[str, float], baseline: Mapping[str, float], depth_unit: str | None
) -> list[MetricRow]:
    """Rows for a table, without those of single classes.

    Args:
        metrics: of the network, from :meth:`mtl_cuda.metrics.SceneMetrics.compute`.
        baseline: of the constant prediction; what it lacks is unknown.
        depth_unit: of the data set.

    Raises:
        ValueError: a metric of another name.
    """
    rows = []
    for key, value in metrics.items():
        if not is_per_class(key):
            shown = describe(key, depth_unit)
            constant = baseline.get(key, math.nan) * shown.factor
            rows.append(
                MetricRow(
                    key,
                    shown.label,
                    value * shown.factor,
                    constant,
                    shown.unit,
                    shown.higher_is_better,
                    shown.factor,
                )
            )
    return rows


def summarise(rows: Sequence[MetricRow]) -> str:
    """The main metric of each task beside the constant prediction's, in one sentence."""
    parts: list[str] = []
    for row in rows:
        if row.in_headline:
            label = row.label if not parts else row.label[0].lower() + row.label[1:]
            constant = "constant prediction: " if not parts else ""
            beside = with_unit(row.baseline, row.unit)
            parts.append(f"{label} {with_unit(row.value, row.unit)} ({constant}{beside})")
    return "; ".join(parts) + "." if parts else "No metrics."


def with_unit(value: float, unit: str) -> str:
    """A number as it is shown with its unit; a dash where it is unknown."""
    if math.isnan(value):
        return "–"
    return f"{value:.1f} %" if unit == "%" else f"{significant(value)} {unit}"


def significant(value: float, digits: int = 3) -> str:
    """A number with three significant digits, never in the style of 1e+02."""
    if not math.isfinite(value):
        return str(value)
    magnitude = math.floor(math.log10(abs(value))) if value else 0
    if magnitude < -5:
        return f"{value:.{digits - 1}e}"
    return f"{value:.{max(0, digits - 1 - magnitude)}f}"
