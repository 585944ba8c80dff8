"""From predicted classes and vectors to instances and a panoptic map."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mtl_cuda.clustering.instances import MAX_CLASSES_CUDA, cluster_instances
from mtl_cuda.clustering.panoptic import merge_panoptic
from mtl_cuda.clustering.result import InstanceClusters
from mtl_cuda.data import DatasetInfo
from mtl_cuda.ops.cluster_instances import TooManyClustersError

_WIDTH_PER_EPS = 128
_WIDTH_PER_SAMPLE = 32


@dataclass
class InstanceConfig:
    """How `evaluate`, `predict` and the report find instances; training does not depend on it.

    Lengths and areas are in pixels of the image or, in an evaluation, of the labels. What is null
    follows their width, so that it suits a data set at any size.

    Attributes:
        eps: votes for a centre at most this far apart are neighbours; null is width / 128.
        min_samples: neighbours, itself counted, that a vote in the core of an instance has; null
            is width / 32.
        min_pixels: smaller instances are dropped.
        min_stuff_pixels: smaller regions of stuff are void in the panoptic map; null is a 1024th
            of the image.
    """

    eps: float | None = None
    min_samples: int | None = None
    min_pixels: int = 1
    min_stuff_pixels: int | None = None


def has_segments(info: DatasetInfo, tasks: Collection[str]) -> bool:
    """Whether predictions of these tasks make instances: things, their classes and vectors."""
    return bool(info.thing_classes) and {"semantic", "instance"} <= set(tasks)


def find_segments(
    maps: Mapping[str, Tensor], info: DatasetInfo, config: InstanceConfig
) -> dict[str, Any]:
    """Cluster predicted vectors and merge the instances with the classes.

    Args:
        maps: "semantic" classes [B,H,W], the "probability" [B,H,W] of each pixel's class, and
            "instance" vectors [B,2,H,W] in pixels of these maps.
        info: of the data set.
        config: what is not set there follows the width of the maps.

    Returns:
        "instances" (`InstanceClusters`) and "panoptic" (`PanopticSegments`), on the maps' device,
        or on the CPU where there are more thing classes or clusters than the device takes.
    """
    device = maps["semantic"].device
    if len(info.thing_classes) > MAX_CLASSES_CUDA:
        device = torch.device("cpu")
    try:
        instances = _cluster(maps, device, info, config)
    except TooManyClustersError:
        instances = _cluster(maps, torch.device("cpu"), info, config)
    semantic = maps["semantic"].to(instances.ids.device)
    panoptic = merge_panoptic(semantic, instances, info.thing_classes, config.min_stuff_pixels)
    return {"instances": instances, "panoptic": panoptic}


def _cluster(
    maps: Mapping[str, Tensor], device: torch.device, info: DatasetInfo, config: InstanceConfig
) -> InstanceClusters:
    semantic = maps["semantic"].to(device)
    width = semantic.shape[-1]
    # An instance has the class of each of its pixels: one number stands for those of all classes.
    probability = maps["probability"].to(device)[:, None]
    return cluster_instances(
        maps["instance"].to(device),
        semantic,
        info.thing_classes,
        eps=width / _WIDTH_PER_EPS if config.eps is None else config.eps,
        min_samples=config.min_samples or max(1, width // _WIDTH_PER_SAMPLE),
        min_pixels=config.min_pixels,
        probabilities=probability.expand(-1, max(info.thing_classes) + 1, -1, -1),
    )
