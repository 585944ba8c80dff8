from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mtl_cuda.metrics import InverseDepthMetric, OffsetMetric, target_offsets


def offsets_by_loops(ids: np.ndarray) -> np.ndarray:
    offsets = np.full((2, *ids.shape), np.nan)
    for label in set(ids.flat) - {0}:
        rows, columns = np.nonzero(ids == label)
        offsets[0, rows, columns] = columns.mean() - columns
        offsets[1, rows, columns] = rows.mean() - rows
    return offsets


@settings(deadline=None)
@given(hnp.arrays(np.int32, hnp.array_shapes(min_dims=2, max_dims=2), elements=st.integers(0, 4)))
def test_target_offsets(ids: np.ndarray) -> None:
    found = target_offsets(torch.from_numpy(ids)[None])
    np.testing.assert_allclose(found[0].numpy(), offsets_by_loops(ids), rtol=1e-6, atol=1e-6)


def test_offset_worked_example() -> None:
    ids = torch.tensor([[[1, 1, 0], [0, 2, 0]]])  # centroids (0.5, 0) and (1, 1)
    offsets = torch.zeros(1, 2, 2, 3)
    offsets[0, :, 1, 1] = torch.tensor([3.0, -4.0])
    metric = OffsetMetric()
    metric.update(offsets, ids)
    expected = {
        "mean_error": (0.5 + 0.5 + 7) / 3,
        "rms_error": math.sqrt((0.25 + 0.25 + 25) / 3),
    }
    assert metric.compute() == pytest.approx(expected)


def test_channel_0_is_x() -> None:
    ids = torch.tensor([[[1, 1, 1]]])
    metric = OffsetMetric()
    metric.update(torch.tensor([[[[1.0, 0.0, -1.0]], [[0.0, 0.0, 0.0]]]]), ids)
    assert metric.compute()["mean_error"] == 0.0


def test_inverse_depth_worked_example() -> None:
    metric = InverseDepthMetric("px")
    target = torch.tensor([[[0.0, 2.0, torch.nan]]])  # 0 is valid: infinitely far
    metric.update(torch.tensor([[[[3.0, 1.0, 9.0]]]]), target)
    assert metric.unit == "px"
    assert metric.compute() == pytest.approx({"mean_error": 2.0, "rms_error": math.sqrt(5)})
    again = InverseDepthMetric("px")
    again.update(torch.tensor([[[3.0, 1.0, 9.0]]]), target)
    assert again.compute() == metric.compute()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_bad_prediction_shows_only_at_valid_pixels(bad: float) -> None:
    offsets, ids = torch.zeros(1, 2, 1, 2), torch.tensor([[[0, 1]]])
    depth, target = torch.zeros(1, 1, 1, 2), torch.tensor([[[torch.nan, 0.0]]])
    for place, shown in ((0, False), (1, True)):
        offsets[..., place], depth[..., place] = bad, bad
        vectors, distance = OffsetMetric(), InverseDepthMetric()
        vectors.update(offsets, ids)
        distance.update(depth, target)
        values = [*vectors.compute().values(), *distance.compute().values()]
        assert [math.isfinite(value) for value in values] == [not shown] * 4


def test_nothing_valid_gives_nan() -> None:
    vectors, distance = OffsetMetric(), InverseDepthMetric()
    vectors.update(torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2, dtype=torch.int32))
    distance.update(torch.zeros(1, 1, 2, 2), torch.full((1, 2, 2), torch.nan))
    for metric in (vectors, distance):
        assert all(math.isnan(value) for value in metric.compute().values())


def test_half_precision_is_accumulated_in_double() -> None:
    metric = InverseDepthMetric()
    prediction = torch.full((1, 1, 100, 100), 256.0, dtype=torch.float16)
    metric.update(prediction, torch.zeros(1, 100, 100))  # the square exceeds float16's range
    assert metric.compute() == {"mean_error": 256.0, "rms_error": 256.0}


def test_states_add_up() -> None:
    generator = torch.Generator().manual_seed(0)
    predictions, targets = torch.rand(2, 2, 1, 4, 4, generator=generator).unbind()
    whole, *parts = (InverseDepthMetric() for _ in range(3))
    whole.update(predictions, targets[:, 0])
    for part, prediction, target in zip(parts, predictions, targets):
        part.update(prediction[None], target)
    merged = InverseDepthMetric()
    merged.load_state(parts[0].state() + parts[1].state())
    assert merged.compute() == pytest.approx(whole.compute())


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"offsets: .*\[1, 2, 4, 4\].*\[1, 2, 2, 2\]"):
        OffsetMetric().update(torch.zeros(1, 2, 2, 2), torch.zeros(1, 4, 4, dtype=torch.int32))
    with pytest.raises(TypeError, match=r"ids: .*float32"):
        OffsetMetric().update(torch.zeros(1, 2, 4, 4), torch.zeros(1, 4, 4))
    with pytest.raises(ValueError, match=r"prediction: .*\[1, 4, 4\].*\[1, 2, 4, 4\]"):
        InverseDepthMetric().update(torch.zeros(1, 2, 4, 4), torch.zeros(1, 4, 4))
    with pytest.raises(ValueError, match=r"target: expected \[B,H,W\]"):
        InverseDepthMetric().update(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4))
