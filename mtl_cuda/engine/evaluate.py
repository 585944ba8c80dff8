"""Measure a network on a split, beside the best constant prediction."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtl_cuda.data import DatasetInfo
from mtl_cuda.engine.distributed import ALONE, Ranks
from mtl_cuda.engine.loading import Batch, to_device
from mtl_cuda.engine.segments import InstanceConfig, find_segments
from mtl_cuda.functional import argmax_upsampled
from mtl_cuda.metrics import ConstantBaseline, SceneMetrics, describe

SELECTION = {
    "semantic": "semantic/miou",
    "instance": "instance/mean_error",
    "depth": "depth/mean_error",
}
"""The main metric of each task, by which it counts in `selection_score`."""


def predict_maps(
    network: nn.Module, images: Tensor, size: tuple[int, int], *, probability: bool = False
) -> dict[str, Tensor]:
    """Predict every task at `size`: `upsample_predictions` of what the network makes of images.

    Args:
        network: returns low-resolution predictions by task.
        images: float [B, 3, H, W], normalised.
        size: height and width of the result.
        probability: return that of each pixel's class too.
    """
    return upsample_predictions(network(images), size, probability=probability)


def upsample_predictions(
    predictions: Mapping[str, Tensor], size: tuple[int, int], *, probability: bool = False
) -> dict[str, Tensor]:
    """Turn low-resolution predictions by task into maps.

    Args:
        predictions: [B, C, h, w]; of "semantic" logits.
        size: height and width of the maps; offsets keep the unit they are predicted in.
        probability: return that of each pixel's class too.

    Returns:
        "semantic" int64 [B, *size] trainIds, -1 where the network gave no number; "probability"
        float [B, *size]; "instance" float [B, 2, *size]; "depth" float [B, 1, *size]; those that
        are predicted.
    """
    maps: dict[str, Tensor] = {}
    for task, prediction in predictions.items():
        if task == "semantic":
            found = argmax_upsampled(prediction, size, dtype=torch.int64, probability=probability)
            maps[task] = found.classes
            if found.probability is not None:
                maps["probability"] = found.probability
        else:
            maps[task] = F.interpolate(prediction, size, mode="bilinear", align_corners=False)
    return maps


def evaluate(
    network: nn.Module,
    batches: Iterable[Batch],
    info: DatasetInfo,
    tasks: Sequence[str],
    device: torch.device,
    instances: InstanceConfig | None = None,
    ranks: Ranks = ALONE,
) -> dict[str, float]:
    """The numbers of `measure`: see `SceneMetrics.compute`."""
    return measure(network, batches, info, tasks, device, instances, ranks).compute()


@torch.inference_mode()
def measure(
    network: nn.Module,
    batches: Iterable[Batch],
    info: DatasetInfo,
    tasks: Sequence[str],
    device: torch.device,
    instances: InstanceConfig | None = None,
    ranks: Ranks = ALONE,
) -> SceneMetrics:
    """Metrics over all batches, at the resolution of the labels.

    Several processes measure what their batches have together.

    With `instances` they are looked for too, and AP and panoptic quality measured. The network is
    left in the mode it was in.
    """
    metrics = SceneMetrics(info, tasks, segments=instances is not None)
    was_training = network.training
    network.eval()
    try:
        for batch in batches:
            targets = to_device(batch, device)
            images = targets.pop("image")
            height, width = images.shape[-2:]
            maps: dict[str, Any] = predict_maps(
                network, images, (height, width), probability=instances is not None
            )
            if instances is not None:
                maps |= find_segments(maps, info, instances)
            metrics.update(maps, targets)
    finally:
        network.train(was_training)
    return _joined(metrics, ranks)


def constant_prediction(
    training: Iterable[Batch], info: DatasetInfo, tasks: Sequence[str], ranks: Ranks = ALONE
) -> ConstantBaseline:
    """The constants that fit the targets of some training batches, of all processes, best."""
    baseline = ConstantBaseline(info, tasks)
    for batch in training:
        baseline.update(batch)
    baseline.load_state({name: ranks.sum(sums) for name, sums in baseline.state().items()})
    return baseline


def evaluate_constant(
    baseline: ConstantBaseline,
    batches: Iterable[Batch],
    info: DatasetInfo,
    tasks: Sequence[str],
    ranks: Ranks = ALONE,
) -> dict[str, float]:
    """Metrics of a constant prediction: what a network must beat to have learned anything."""
    metrics = SceneMetrics(info, tasks)
    for batch in batches:
        metrics.update(baseline.predict(batch), batch)
    return _joined(metrics, ranks).compute()


def _joined(metrics: SceneMetrics, ranks: Ranks) -> SceneMetrics:
    metrics.load_state({name: ranks.sum(sums) for name, sums in metrics.state().items()})
    return metrics


def describe_metrics(metrics: Mapping[str, float], depth_unit: str | None) -> str:
    """One line of the main metric of each task."""
    parts = []
    for key in SELECTION.values():
        if key in metrics:
            shown = describe(key, depth_unit)
            parts.append(f"{shown.label} {shown.factor * metrics[key]:.3g} {shown.unit}")
    return "; ".join(parts)


def selection_score(metrics: Mapping[str, float], baseline: Mapping[str, float]) -> float:
    """The number by which the best checkpoint is chosen; higher is better.

    The mean over the tasks of: the mIoU of "semantic"; for "instance" and "depth" the share of the
    constant prediction's mean error that the network removes, 1 - error / error of the constant.
    All are 1 for a perfect prediction and have no unit, so that tasks can be averaged. A task
    without any valid pixel is left out; without any task the score is NaN.

    The weighed loss is no such number: it falls with sigma as well as with the errors, and may be
    negative.
    """
    scores = []
    for task, key in SELECTION.items():
        value = metrics.get(key, math.nan)
        if task != "semantic":
            value = 1.0 - value / baseline[key] if baseline.get(key) else math.nan
        if not math.isnan(value):
            scores.append(value)
    return sum(scores) / len(scores) if scores else math.nan
