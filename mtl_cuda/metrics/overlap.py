"""How predicted segments lie on the true ones: the counts that AP and PQ are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mtl_cuda.data.scene import IGNORE
from mtl_cuda.metrics.accumulate import check_integer, check_map, check_shape

Counts = npt.NDArray[np.int64]


class Overlaps(NamedTuple):
    """Pixels that the P predicted segments of an image share with its S true ones.

    A true segment is an instance, or all pixels of a class outside of instances: stuff, or the
    *groups* of a thing class, whose objects the annotators could not tell apart.

    Attributes:
        shared: int64 [P, S].
        void: int64 [P]: pixels on no true segment.
        predicted_areas: int64 [P]: all pixels.
        true_areas: int64 [S]: all pixels.
        true_classes: int64 [S].
        is_instance: bool [S].
    """

    shared: Counts
    void: Counts
    predicted_areas: Counts
    true_areas: Counts
    true_classes: Counts
    is_instance: npt.NDArray[np.bool_]


def count_overlaps(ids: Tensor, segments: int, semantic: Tensor, instance: Tensor) -> Overlaps:
    """Count the pixels that segments share, on the device of the predicted ones.

    Args:
        ids: predicted segments, integers [H,W]; 0 = none, else 1..`segments`.
        segments: how many there are.
        semantic: true classes, integers [H,W]; 255 = void.
        instance: true instance ids, integers [H,W]; 0 = none.

    Raises:
        ValueError: an id or class is out of range.
    """
    ids, semantic, instance = (m.to(ids.device, torch.int64) for m in (ids, semantic, instance))
    for name, tensor, largest in (("ids", ids, segments), ("target semantic", semantic, IGNORE)):
        _check_range(name, tensor, largest)
    _check_range("target instance", instance, None)
    # A key per pair (class, instance); tables over all keys cost less than sorting the pixels.
    width = int(instance.max()) + 1
    keys = semantic * width + instance
    present = torch.bincount(keys.flatten()) > 0
    true = present.nonzero().flatten()
    pairs = ids * len(true) + (present.cumsum(0) - 1)[keys]
    table = torch.bincount(pairs.flatten(), minlength=(segments + 1) * len(true))
    counts = table.view(segments + 1, len(true)).cpu().numpy()
    classes, numbers = np.divmod(true.cpu().numpy(), width)
    known = classes != IGNORE
    return Overlaps(
        shared=counts[1:, known],
        void=counts[1:, ~known].sum(axis=1),
        predicted_areas=counts[1:].sum(axis=1),
        true_areas=counts[:, known].sum(axis=0),
        true_classes=classes[known],
        is_instance=numbers[known] > 0,
    )


def check_maps(ids: Tensor, targets: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """The true classes and instance ids of a batch, checked against the predicted ids.

    Raises:
        KeyError: one is missing.
        TypeError: no integers.
        ValueError: shapes differ.
    """
    semantic, instance = targets["semantic"], targets["instance"]
    check_map("ids", ids)
    for name, tensor in (("ids", ids), ("semantic", semantic), ("instance", instance)):
        check_integer(name, tensor)
        check_shape(name, tensor, tuple(ids.shape), "the predicted ids")
    return semantic, instance


def intersection_over_union(
    overlaps: Overlaps, classes: Counts, areas: Counts
) -> npt.NDArray[np.float64]:
    """IoU of every predicted with every true segment, [P, S]; 0 where their classes differ.

    Args:
        overlaps: of an image.
        classes: of the predicted segments, int64 [P].
        areas: of the predicted segments, int64 [P], with or without their pixels on void.
    """
    same = classes[:, None] == overlaps.true_classes
    union = areas[:, None] + overlaps.true_areas - overlaps.shared
    return np.where(same, overlaps.shared / union, 0.0)


def _check_range(name: str, tensor: Tensor, largest: int | None) -> None:
    if tensor.numel() == 0:
        raise ValueError(f"{name}: expected a map of some pixels, got {list(tensor.shape)}")
    low, high = (int(value) for value in tensor.aminmax())
    if low < 0 or (largest is not None and high > largest):
        allowed = "0 or more" if largest is None else f"0..{largest}"
        raise ValueError(f"{name}: expected {allowed}, got {low if low < 0 else high}")
