"""Instances from votes in plain PyTorch: the specification and the oracle of the tests."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from mtl_cuda.clustering.result import InstanceClusters
from mtl_cuda.reference import dbscan


def cluster_instances(
    offsets: Tensor,
    semantic: Tensor,
    thing_classes: Sequence[int],
    *,
    eps: float,
    min_samples: int,
    method: str = "density",
    probabilities: Tensor | None = None,
    cells_per_pixel: int = 1,
    border: str = "dbscan",
    margin: float = 0.0,
    max_distance: float = math.inf,
    min_pixels: int = 1,
    class_agnostic: bool = False,
) -> InstanceClusters:
    """Image by image, class by class: see :func:`mtl_cuda.cluster_instances`."""
    result = InstanceClusters(torch.zeros_like(semantic, dtype=torch.int32), [], [], [], [])
    groups = [list(thing_classes)] if class_agnostic else [[c] for c in thing_classes]
    for image, labels in enumerate(semantic):
        votes = _votes(offsets[image])
        instances: list[tuple[Tensor, Tensor]] = []  # pixels, ascending, and centre
        for group in groups:
            mine = torch.isin(labels.flatten(), torch.tensor(group)).nonzero().flatten()
            points = votes[mine].clone()
            points[~_inside(points, labels.shape, margin)] = torch.nan
            radius = eps
            if method == "density":
                points, radius = (points * cells_per_pixel + 0.5).floor(), eps * cells_per_pixel
            clusters, _ = dbscan(points, radius, min_samples, border)
            centres = _centres(votes[mine], clusters)
            nearest = _nearest(votes[mine], centres, max_distance)
            instances += [(mine[nearest == k], centre) for k, centre in enumerate(centres)]
        kept = sorted(
            (instance for instance in instances if len(instance[0]) >= min_pixels),
            key=lambda instance: int(instance[0][0]),
        )
        classes, scores = [], []
        for number, (pixels, centre) in enumerate(kept, start=1):
            result.ids[image].view(-1)[pixels] = number
            sizes = [int((labels.flatten()[pixels] == c).sum()) for c in thing_classes]
            classes.append(thing_classes[sizes.index(max(sizes))])
            near = _squared(votes[pixels], centre) <= eps**2
            sure = votes.new_ones(())
            if probabilities is not None:
                sure = probabilities[image, classes[-1]].flatten()[pixels].double().mean()
            scores.append(float(sure * near.double().mean()))
        result.classes.append(torch.tensor(classes, dtype=torch.int64))
        result.centroids.append(
            torch.stack([votes.new_zeros(2), *[centre for _, centre in kept]])[1:].float()
        )
        result.counts.append(torch.tensor([len(pixels) for pixels, _ in kept], dtype=torch.int64))
        result.scores.append(torch.tensor(scores))
    return result


def _votes(offsets: Tensor) -> Tensor:
    """Votes [H*W,2] of offsets [2,H,W]."""
    height, width = offsets.shape[1:]
    columns, rows = torch.arange(width), torch.arange(height)[:, None]
    return torch.stack([offsets[0].double() + columns, offsets[1].double() + rows], -1).flatten(
        0, 1
    )


def _inside(points: Tensor, size: torch.Size, margin: float) -> Tensor:
    high = torch.tensor([size[1], size[0]]) - 0.5 + margin
    return ((points >= -0.5 - margin) & (points <= high)).all(dim=1)


def _centres(votes: Tensor, clusters: Tensor) -> list[Tensor]:
    count = int(clusters.max()) + 1 if len(clusters) else 0
    return [votes[clusters == k].sum(dim=0) / (clusters == k).sum() for k in range(count)]


def _nearest(votes: Tensor, centres: list[Tensor], max_distance: float) -> Tensor:
    """The nearest centre of each vote [N], the first of several; -1 = none."""
    best = torch.full((len(votes),), max_distance**2, dtype=torch.float64)
    nearest = torch.full((len(votes),), -1)
    for k, centre in enumerate(centres):
        squared = _squared(votes, centre)
        # The bound itself still counts.
        better = (squared < best) | ((nearest < 0) & (squared <= best))
        better &= votes.isfinite().all(dim=1)
        best, nearest = torch.where(better, squared, best), torch.where(better, k, nearest)
    return nearest


def _squared(votes: Tensor, centre: Tensor) -> Tensor:
    x, y = (votes - centre).unbind(-1)
    return x * x + y * y
