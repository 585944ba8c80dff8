"""Axes of the experiments' figures."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure

from mtl_cuda.experiments.figure import draw_rows
from mtl_cuda.experiments.measures import Measure
from mtl_cuda.experiments.statistics import Sample

ERROR = Measure("instance", "instance/mean_error", "Vectors", "px", 1.0, higher_is_better=False)
IOU = Measure("semantic", "semantic/miou", "Mean IoU", "%", 100.0, higher_is_better=True)


@pytest.mark.parametrize(
    ("measure", "last", "scale"),
    [(ERROR, 17.0, "log"), (ERROR, 7.0, "linear"), (IOU, 17.0, "linear")],
)
def test_errors_far_apart_have_a_logarithmic_axis(
    measure: Measure, last: float, scale: str
) -> None:
    axes = Figure().subplots()
    samples = [Sample.of([6.8, 6.9]), Sample.of([]), Sample.of([last])]
    draw_rows(axes, ["alone", "missing", "equal"], samples, measure)
    assert axes.get_xscale() == scale
    assert [label.get_text() for label in axes.get_yticklabels()] == ["alone", "missing", "equal"]
