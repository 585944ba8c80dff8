"""What clustering a batch of images into instances gives."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class InstanceClusters(NamedTuple):
    """Instances of each image of a batch: an id map and, per image, one row per instance.

    Row k - 1 of the tables of an image describes the instance with id k. Instances are numbered
    1..K per image in the order of their first pixels (row-major).

    Attributes:
        ids: int32 [B,H,W]; 0 = no instance.
        classes: per image, int64 [K]: the class of the instance, as in the semantic map.
        centroids: per image, float32 [K,2]: the mean of the votes that formed the instance, (x, y)
            in pixels. It is the centre of the whole object as the votes see it, which may lie
            outside the pixels that show it.
        counts: per image, int64 [K]: pixels with this id, at least 1.
        scores: per image, float32 [K] in [0, 1]: confidence, for ranking.
    """

    ids: Tensor
    classes: list[Tensor]
    centroids: list[Tensor]
    counts: list[Tensor]
    scores: list[Tensor]
