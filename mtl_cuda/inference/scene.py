"""Predict images of any size; the results have the size and the units of each image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from mtl_cuda.data import DatasetInfo
from mtl_cuda.engine.evaluate import upsample_predictions
from mtl_cuda.engine.segments import InstanceConfig, find_segments
from mtl_cuda.inference.options import PredictOptions, Size
from mtl_cuda.inference.passes import Picture, predict_looks, prepare, unit_ratio
from mtl_cuda.inference.timing import StageTimer
from mtl_cuda.metrics.scene import TASKS

Maps = dict[str, npt.NDArray[np.generic]]
"""Predictions for one image: "semantic" int64 [H, W], "instance" [2, H, W], "depth" [H, W] and
"clusters", instance ids int32 [H, W]."""


@torch.inference_mode()
def predict_scenes(
    network: nn.Module,
    images: Sequence[Picture],
    info: DatasetInfo,
    size: Size,
    device: torch.device,
    instances: InstanceConfig | None,
    options: PredictOptions,
    timer: StageTimer,
) -> list[dict[str, Any]]:
    """Predict a batch of images.

    Args:
        network: in evaluation mode.
        images: uint8 [H, W, 3], RGB, of any sizes.
        info: of the data set that the network was trained on.
        size: height and width at which the network sees all of them (at scale 1).
        device: that the network is on.
        instances: how to find them; None does not.
        options: how the network looks at them; their `size` is not used here.
        timer: counts the stages.

    Returns:
        for each image as for `SceneMetrics.update`, a batch of one on `device`.
    """

    with timer.stage("prepare"):
        prepared = prepare(images, size, options.scales, device)
    with timer.stage("network"):
        looked = predict_looks(network, prepared, size, info.depth_unit, options)
    apart = [
        {task: values[i : i + 1] for task, values in looked.items()} for i in range(len(images))
    ]
    return [
        _finish(one, (image.shape[0], image.shape[1]), size, info, instances, timer)
        for one, image in zip(apart, images)
    ]


def _finish(
    predictions: dict[str, Tensor],
    size: Size,
    seen: Size,
    info: DatasetInfo,
    instances: InstanceConfig | None,
    timer: StageTimer,
) -> dict[str, Any]:
    """From predictions for an image of size `seen` to maps of its own `size`, and instances."""
    with timer.stage("upsample"):
        maps: dict[str, Any] = upsample_predictions(predictions, size, probability=True)
        for task in {"instance", "depth"} & set(maps):
            maps[task] = maps[task] * unit_ratio(task, seen, size, info.depth_unit, maps[task])
    if instances is not None:
        with timer.stage("cluster"):
            maps |= find_segments(maps, info, instances)
    return maps


def predict_image(
    network: nn.Module,
    image: Picture,
    info: DatasetInfo,
    size: Size | None,
    device: torch.device,
    instances: InstanceConfig | None = None,
) -> Maps:
    """Predict one image for `mtl_cuda.visualise.panel`: see `predict_scenes`.

    A `size` of None is that of the image.
    """
    size = size or (image.shape[0], image.shape[1])
    (maps,) = predict_scenes(
        network, [image], info, size, device, instances, PredictOptions(), StageTimer()
    )
    return as_maps(maps)


def as_maps(prediction: Mapping[str, Any]) -> Maps:
    """What `predict_scenes` gave for an image as arrays."""
    tensors = {task: prediction[task][0] for task in TASKS if task in prediction}
    if "depth" in tensors:
        tensors["depth"] = tensors["depth"][0]
    if "instances" in prediction:
        tensors["clusters"] = prediction["instances"].ids[0]
    return {name: tensor.cpu().numpy() for name, tensor in tensors.items()}
