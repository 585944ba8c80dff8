from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mtl_cuda.data.info import DatasetInfo
from mtl_cuda.metrics import ConstantBaseline, SceneMetrics, describe
from mtl_cuda.metrics.constant import MedianHistogram

INFO = DatasetInfo("two", ("road", "car"), ((1, 2, 3), (4, 5, 6)), (1,), (7, 26), depth_unit="1/m")


def batch() -> dict[str, torch.Tensor]:
    return {
        "semantic": torch.tensor([[[0, 0, 0, 255], [1, 1, 1, 1]]], dtype=torch.uint8),
        "instance": torch.tensor([[[0, 0, 0, 0], [1, 1, 1, 1]]], dtype=torch.int32),
        "depth": torch.tensor([[[0.0, 0.0, 0.0, torch.nan], [0.5, 0.5, 1.0, torch.nan]]]),
    }


def test_constant_fits_the_targets_best() -> None:
    baseline = ConstantBaseline(INFO)
    baseline.update(batch())
    assert baseline.constants() == {"semantic": 1, "instance": (-0.5, 0.0), "depth": 0.0}


def test_baseline_through_the_metrics() -> None:
    baseline, metrics = ConstantBaseline(INFO), SceneMetrics(INFO)
    baseline.update(batch())
    metrics.update(baseline.predict(batch()), batch())
    found = metrics.compute()
    assert found["semantic/miou"] == pytest.approx((4 / 7) / 2)
    assert found["instance/mean_error"] == pytest.approx((2 + 1 + 0 + 1) / 4)
    assert found["depth/mean_error"] == pytest.approx(2 / 6)


def test_subset_of_tasks_needs_only_its_targets() -> None:
    targets = {"depth": batch()["depth"], "name": torch.zeros(1)}
    baseline, metrics = ConstantBaseline(INFO, ["depth"]), SceneMetrics(INFO, ["depth"])
    baseline.update(targets)
    metrics.update(baseline.predict(targets), targets)
    assert list(metrics.compute()) == ["depth/mean_error", "depth/rms_error"]


def test_baseline_that_saw_nothing_gives_nan() -> None:
    metrics = SceneMetrics(INFO)
    metrics.update(ConstantBaseline(INFO).predict(batch()), batch())
    assert all(math.isnan(value) for value in metrics.compute().values())


def test_states_round_trip() -> None:
    baseline, metrics, other = ConstantBaseline(INFO), SceneMetrics(INFO), SceneMetrics(INFO)
    baseline.update(batch())
    metrics.update(baseline.predict(batch()), batch())
    other.load_state(metrics.state())
    assert other.compute() == metrics.compute()
    other.reset()
    assert all(math.isnan(value) for value in other.compute().values())


def test_every_metric_is_described() -> None:
    for key in SceneMetrics(INFO).compute():
        assert describe(key, "1/m").label
    assert describe("depth/rms_error", "1/m").unit == "1/m"
    assert describe("depth/rms_error", "px").label.startswith("Disparity")
    with pytest.raises(ValueError, match="semantic/dice"):
        describe("semantic/dice", None)


def test_bad_input() -> None:
    for maker in (SceneMetrics, ConstantBaseline):
        with pytest.raises(ValueError, match="normals"):
            maker(INFO, ["semantic", "normals"])
    with pytest.raises(ValueError, match="got 9"):
        ConstantBaseline(INFO, ["semantic"]).update({"semantic": torch.full((1, 2, 2), 9)})
    with pytest.raises(ValueError, match="got -3"):
        ConstantBaseline(INFO, ["semantic"]).update({"semantic": torch.full((1, 2, 2), -3)})


@settings(deadline=None)
@given(
    st.lists(
        hnp.arrays(
            np.float32,
            hnp.array_shapes(max_dims=2, max_side=6),
            elements=st.floats(allow_nan=True, allow_infinity=True, width=32),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_streaming_median(parts: list[np.ndarray]) -> None:
    histogram = MedianHistogram()
    for part in parts:
        histogram.update(torch.from_numpy(part))
    values = np.sort(np.concatenate([part.ravel() for part in parts]))
    values = values[~np.isnan(values)]
    if len(values) == 0:
        assert math.isnan(histogram.median())
    else:
        median = float(values[(len(values) - 1) // 2])
        assert histogram.median() == pytest.approx(median, rel=2e-3, abs=1e-40)


@settings(deadline=None)
@given(st.lists(st.integers(-1024, 1024), min_size=1))
def test_median_of_small_integers_is_exact(values: list[int]) -> None:
    histogram = MedianHistogram()
    histogram.update(torch.tensor(values, dtype=torch.float64))
    assert histogram.median() == sorted(values)[(len(values) - 1) // 2]
