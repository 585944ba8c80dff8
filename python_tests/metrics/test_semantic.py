from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mtl_cuda.metrics import SegmentationMetric, predicted_classes

NAMES = ("road", "car", "sky")


def test_worked_example() -> None:
    metric = SegmentationMetric(NAMES)
    target = torch.tensor([[[0, 0, 1, 255]]], dtype=torch.uint8)
    metric.update(torch.tensor([[[0, 1, 1, 2]]]), target)
    assert metric.compute() == pytest.approx(
        {
            "miou": 0.5,
            "pixel_accuracy": 2 / 3,
            "iou/road": 0.5,
            "iou/car": 0.5,
            "iou/sky": math.nan,
        },
        nan_ok=True,
    )


def test_class_predicted_but_nowhere_in_the_target_counts_as_zero() -> None:
    metric = SegmentationMetric(NAMES)
    metric.update(torch.tensor([[[0, 2]]]), torch.tensor([[[0, 0]]]))
    assert metric.compute()["iou/sky"] == 0.0
    assert metric.compute()["miou"] == pytest.approx(0.25)


def iou_by_sets(prediction: np.ndarray, target: np.ndarray, label: int) -> float:
    valid = target != 255
    either = valid & ((prediction == label) | (target == label))
    both = valid & (prediction == label) & (target == label)
    return both.sum() / either.sum() if either.any() else math.nan


@settings(deadline=None)
@given(st.data())
def test_agrees_with_sets_of_pixels(data: st.DataObject) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=3, max_dims=3, max_side=5))
    target = data.draw(hnp.arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 2, 255])))
    prediction = data.draw(hnp.arrays(np.int64, shape, elements=st.integers(0, 2)))
    metric = SegmentationMetric(NAMES)
    for index in range(shape[0]):  # pooled over images, not averaged
        one = slice(index, index + 1)
        metric.update(torch.from_numpy(prediction[one]), torch.from_numpy(target[one]))
    ious = [iou_by_sets(prediction, target, label) for label in range(3)]
    found = metric.compute()
    assert [found[f"iou/{name}"] for name in NAMES] == pytest.approx(ious, nan_ok=True)
    present = [iou for iou in ious if not math.isnan(iou)]
    mean = sum(present) / len(present) if present else math.nan
    assert found["miou"] == pytest.approx(mean, nan_ok=True)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_negative_ignore_index(dtype: torch.dtype) -> None:
    metric = SegmentationMetric([str(i) for i in range(200)], ignore_index=-100)
    target = torch.full((1, 1, 2), 156, dtype=torch.int64).to(dtype)  # -100 as a byte
    metric.update(target, target)
    assert metric.state().sum() == 2


def test_nothing_valid_gives_nan() -> None:
    metric = SegmentationMetric(NAMES)
    assert all(math.isnan(value) for value in metric.compute().values())
    metric.update(torch.zeros(1, 2, 2, dtype=torch.int64), torch.full((1, 2, 2), 255))
    assert all(math.isnan(value) for value in metric.compute().values())


def test_nan_in_the_logits_shows() -> None:
    logits = torch.zeros(1, 3, 1, 2)
    logits[0, 1] = 1.0
    target = torch.ones(1, 1, 2, dtype=torch.uint8)
    metric = SegmentationMetric(NAMES)
    metric.update(predicted_classes(logits), target)
    assert metric.compute()["miou"] == 1.0
    logits[0, 2, 0, 1] = torch.nan
    assert predicted_classes(logits).tolist() == [[[1, -1]]]
    metric.update(predicted_classes(logits), target)
    assert all(math.isnan(value) for value in metric.compute().values())


def test_nan_where_nothing_is_labelled_does_no_harm() -> None:
    metric = SegmentationMetric(NAMES)
    metric.update(torch.tensor([[[1, -1]]]), torch.tensor([[[1, 255]]]))
    assert metric.compute()["miou"] == 1.0


def test_states_add_up() -> None:
    generator = torch.Generator().manual_seed(0)
    batches = [torch.randint(0, 3, (2, 1, 4, 4), generator=generator) for _ in range(2)]
    whole, *parts = (SegmentationMetric(NAMES) for _ in range(3))
    for batch, part in zip(batches, parts):
        whole.update(*batch)
        part.update(*batch)
    merged = SegmentationMetric(NAMES)
    merged.load_state(parts[0].state() + parts[1].state())
    assert merged.compute() == whole.compute()
    merged.reset()
    assert merged.state().sum() == 0


@pytest.mark.parametrize(
    ("prediction", "target", "error", "message"),
    [
        (torch.zeros(1, 2, 2), torch.zeros(1, 2, 2).long(), TypeError, "prediction: .*float32"),
        (torch.zeros(1, 2, 2).long(), torch.zeros(1, 2, 2), TypeError, "target: .*float32"),
        (torch.zeros(1, 2, 3).long(), torch.zeros(1, 2, 2).long(), ValueError, "prediction: "),
        (torch.zeros(2, 2).long(), torch.zeros(2, 2).long(), ValueError, r"\[B,H,W\]"),
        (torch.full((1, 1, 1), 3), torch.zeros(1, 1, 1).long(), ValueError, "prediction: .*got 3"),
        (torch.zeros(1, 1, 1).long(), torch.full((1, 1, 1), 7), ValueError, "target: .*got 7"),
        (torch.zeros(1, 1, 1).long(), torch.full((1, 1, 1), -1), ValueError, "target: .*got -1"),
    ],
)
def test_bad_input(
    prediction: torch.Tensor, target: torch.Tensor, error: type[Exception], message: str
) -> None:
    metric = SegmentationMetric(NAMES)
    with pytest.raises(error, match=message):
        metric.update(prediction, target)
    assert metric.state().sum() == 0


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="class_names"):
        SegmentationMetric([])
    with pytest.raises(ValueError, match="state: "):
        SegmentationMetric(NAMES).load_state(torch.zeros(3, 3, dtype=torch.int64))
