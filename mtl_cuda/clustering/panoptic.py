"""A panoptic map: every pixel in one segment, an instance of things or a region of stuff.

Source: Kirillov et al., "Panoptic Segmentation", CVPR 2019, arXiv 1801.00868. Dropping small
regions of stuff is the rule of Cheng et al., "Panoptic-DeepLab", CVPR 2020, arXiv 1911.10194.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import torch
from torch import Tensor

from mtl_cuda.clustering.result import InstanceClusters

_STUFF_SHARE = 1024
_NO_CLASS = 255


class PanopticSegments(NamedTuple):
    """A segment map and, per image, the class of every segment.

    Attributes:
        ids: int32 [B,H,W]; 0 = void, else segments 1..S per image.
        classes: per image, int64 [S]: entry s - 1 is the class of segment s.
    """

    ids: Tensor
    classes: list[Tensor]


def merge_panoptic(
    semantic: Tensor,
    instances: InstanceClusters,
    thing_classes: Collection[int],
    min_stuff_pixels: int | None = None,
) -> PanopticSegments:
    """Merge a class map with instances.

    A pixel of an instance belongs to that instance, whatever its class in `semantic`; the segment
    has the id and the class of the instance. Of the other pixels those of a stuff class form one
    segment per class, numbered on from the instances by increasing class. Void are pixels of a
    thing class without an instance, pixels of no class, and stuff of fewer than `min_stuff_pixels`.

    Args:
        semantic: integers [B,H,W]; negative numbers and 255 or more are no class.
        instances: of the same images.
        thing_classes: classes that are no stuff.
        min_stuff_pixels: smallest segment of stuff; by default a 1024th of the image (2048 pixels
            of Cityscapes' 1024 x 2048), and at least 1.

    Raises:
        ValueError: `semantic` is not [B,H,W], or of another shape than the ids of `instances`.
    """
    if semantic.dim() != 3 or semantic.shape != instances.ids.shape:
        raise ValueError(
            f"semantic: expected [B,H,W] like the instance ids {list(instances.ids.shape)}, "
            f"got {list(semantic.shape)}"
        )
    if min_stuff_pixels is None:
        min_stuff_pixels = max(1, semantic.shape[-2] * semantic.shape[-1] // _STUFF_SHARE)
    labels = torch.where((semantic < 0) | (semantic > _NO_CLASS), _NO_CLASS, semantic).long()
    things = torch.tensor([*thing_classes, _NO_CLASS], device=labels.device)
    ids, classes = instances.ids.clone(), []
    for image, (own, kinds) in enumerate(zip(labels, instances.classes)):
        stuff = (ids[image] == 0) & ~torch.isin(own, things)
        pixels = torch.bincount(own[stuff], minlength=_NO_CLASS + 1)
        kept = (pixels >= max(1, min_stuff_pixels)).nonzero().flatten()
        numbers = torch.zeros_like(pixels, dtype=torch.int32)
        numbers[kept] = torch.arange(len(kept), dtype=torch.int32, device=ids.device) + (
            len(kinds) + 1
        )
        ids[image] = torch.where(stuff, numbers[own], ids[image])
        classes.append(torch.cat([kinds, kept]))
    return PanopticSegments(ids, classes)
