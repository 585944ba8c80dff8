"""Predict one image at any size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from mtl_cuda.data import DatasetInfo, Scene, normalise, resize
from mtl_cuda.engine.evaluate import predict_maps
from mtl_cuda.engine.segments import InstanceConfig, find_segments
from mtl_cuda.metrics.scene import TASKS

Maps = dict[str, npt.NDArray[np.generic]]
"""Predictions for one image: "semantic" int64 [H, W], "instance" [2, H, W], "depth" [H, W] and
"clusters", instance ids int32 [H, W]."""


@torch.inference_mode()
def predict_scene(
    network: nn.Module,
    image: npt.NDArray[np.uint8],
    info: DatasetInfo,
    size: tuple[int, int] | None,
    device: torch.device,
    instances: InstanceConfig | None = None,
) -> dict[str, Any]:
    """Predict one image; the results have its size and units, whatever size the network sees.

    Args:
        network: in evaluation mode.
        image: uint8 [H, W, 3], RGB.
        info: of the data set that the network was trained on.
        size: height and width at which the network sees the image; None is the image's own.
        device: that the network is on.
        instances: how to find them; None does not.

    Returns:
        As for `SceneMetrics.update`, a batch of one on `device`.
    """
    height, width = image.shape[:2]
    seen = size or (height, width)
    scene = resize(Scene.from_parts(image, "image"), seen, depth_unit=None)
    maps: dict[str, Any] = predict_maps(
        network,
        normalise(scene.image)[None].to(device),
        (height, width),
        probability=instances is not None,
    )
    if "instance" in maps:
        ratio = maps["instance"].new_tensor([width / seen[1], height / seen[0]])
        maps["instance"] = maps["instance"] * ratio[:, None, None]
    if "depth" in maps and info.depth_unit == "px":
        maps["depth"] = maps["depth"] * (width / seen[1])
    if instances is not None:
        maps |= find_segments(maps, info, instances)
    return maps


def predict_image(
    network: nn.Module,
    image: npt.NDArray[np.uint8],
    info: DatasetInfo,
    size: tuple[int, int] | None,
    device: torch.device,
    instances: InstanceConfig | None = None,
) -> Maps:
    """Predict one image for `mtl_cuda.visualise.panel`: see `predict_scene`."""
    return as_maps(predict_scene(network, image, info, size, device, instances))


def as_maps(prediction: Mapping[str, Any]) -> Maps:
    """What `predict_scene` gave as arrays."""
    tensors = {task: prediction[task][0] for task in TASKS if task in prediction}
    if "depth" in tensors:
        tensors["depth"] = tensors["depth"][0]
    if "instances" in prediction:
        tensors["clusters"] = prediction["instances"].ids[0]
    return {name: tensor.cpu().numpy() for name, tensor in tensors.items()}
