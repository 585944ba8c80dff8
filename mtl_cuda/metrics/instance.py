"""Instances as vectors to their centroids: the error of the vectors."""

from __future__ import annotations

import torch
from torch import Tensor

from mtl_cuda.functional import instance_centroids
from mtl_cuda.metrics.accumulate import ErrorMetric, check_integer, check_map, check_shape


def target_offsets(ids: Tensor) -> Tensor:
    """Vectors centroid - pixel of an instance-id map.

    Args:
        ids: integers [B,H,W]; 0 is no instance, instances are numbered 1..K per image.

    Returns:
        float64 [B,2,H,W] in pixels, channel 0 = x, 1 = y; NaN where the id is 0.
    """
    check_integer("ids", ids)
    check_map("ids", ids)
    batch, height, width = ids.shape
    centroids, _ = instance_centroids(ids)
    nowhere = centroids.new_full((batch, 1, 2), torch.nan)
    table = torch.cat([nowhere, centroids], dim=1).double()
    targets = table[torch.arange(batch, device=ids.device)[:, None, None], ids.long()]
    targets[..., 0] -= torch.arange(width, device=ids.device)
    targets[..., 1] -= torch.arange(height, device=ids.device)[:, None]
    return targets.permute(0, 3, 1, 2)


class OffsetMetric(ErrorMetric):
    """Error of predicted centroid vectors, in pixels, over all pixels that belong to an instance.

    `mean_error` is the mean of |dx| + |dy|, the L1 norm of the difference (the instance error of
    Kendall, Gal and Cipolla, arXiv 1705.07115, table 1); `rms_error` is the root mean square of its
    Euclidean length. Every pixel counts the same, so large instances weigh more.
    """

    def update(self, offsets: Tensor, ids: Tensor) -> None:
        """Count a batch.

        Args:
            offsets: float [B,2,H,W] in pixels of `ids`, channel 0 = x, 1 = y; they point from the
                pixel to the centroid.
            ids: integers [B,H,W]; 0 is no instance, instances are numbered 1..K per image.

        Raises:
            TypeError: `ids` holds no integers.
            ValueError: shapes do not go together.
        """
        targets = target_offsets(ids)
        check_shape("offsets", offsets, tuple(targets.shape), "ids")
        difference = offsets.double() - targets
        self._add_errors(difference.abs().sum(dim=1), difference.square().sum(dim=1), ids > 0)
