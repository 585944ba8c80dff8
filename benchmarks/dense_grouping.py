"""Grouping of pixels as Panoptic-DeepLab describes it (Cheng et al., CVPR 2020), in plain PyTorch.

Centres are the peaks of a heatmap, each thing pixel belongs to the centre nearest to its vote,
and each instance has the class of most of its pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor


def find_centres(
    heatmap: Tensor, threshold: float = 0.1, kernel: int = 7, most: int = 200
) -> Tensor:
    """The strongest peaks [K,2] (x, y) of a heatmap [H,W]: the maxima of their windows."""
    pooled = torch.nn.functional.max_pool2d(heatmap[None], kernel, 1, kernel // 2)[0]
    rows, columns = torch.nonzero((heatmap == pooled) & (heatmap > threshold), as_tuple=True)
    strongest = heatmap[rows, columns].topk(min(most, len(rows))).indices
    return torch.stack([columns[strongest], rows[strongest]], dim=1)


def group(heatmap: Tensor, votes: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """Instances of votes [N,2] float32 (x, y), by the matrix [K,N] of all distances.

    classes [N] int64 from 0. Returns the centre of each vote [N] and the class of each centre [K].
    """
    centres = find_centres(heatmap)
    nearest = torch.cdist(centres.to(votes.dtype), votes).argmin(dim=0)
    kinds = int(classes.max()) + 1
    counts = torch.bincount(nearest * kinds + classes, minlength=len(centres) * kinds)
    return nearest, counts.view(len(centres), kinds).argmax(dim=1)


def draw_heatmap(centres: Tensor, height: int, width: int, sigma: float = 4.0) -> Tensor:
    """What a network is to predict: a bell of height 1 at each centre [K,2], float32 [H,W]."""
    heatmap = torch.zeros(height, width)
    rows, columns = torch.arange(height)[:, None], torch.arange(width)
    for x, y in centres.round().tolist():
        squared = (columns - x) ** 2 + (rows - y) ** 2
        heatmap = torch.maximum(heatmap, torch.exp(squared / (-2 * sigma**2)))
    return heatmap
