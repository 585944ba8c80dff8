"""The specification in plain PyTorch: what every native op computes, slow and easy to read.

These functions are the oracle of the tests and run on any device and in any floating dtype, with
ordinary autograd. No op ever falls back on them silently.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mtl_cuda.tasks import LOG_VARIANCE_RANGE, CrossEntropyTask, InstanceOffsetTask, Task

Target = Tensor | tuple[Tensor, Tensor]


class LossTerms(NamedTuple):
    """The weighed loss and its parts, one entry per task in the order of the tasks.

    Attributes:
        total: scalar; the weighed sum.
        losses: [T] raw loss of each task, 0 where it has no valid pixel.
        weights: [T] the factor that the task's raw loss has in the total; no gradient.
        valid: [T] int64, number of valid pixels.
    """

    total: Tensor
    losses: Tensor
    weights: Tensor
    valid: Tensor


class Argmax(NamedTuple):
    """The most likely class of each pixel, and how sure it is.

    Attributes:
        classes: [B,H,W] uint8 or int64.
        probability: [B,H,W] the softmax probability of that class, or None.
        entropy: [B,H,W] of the softmax over the classes, in nats, or None.
    """

    classes: Tensor
    probability: Tensor | None
    entropy: Tensor | None


def argmax_upsampled(
    logits: Tensor,
    size: tuple[int, int],
    align_corners: bool = False,
    *,
    dtype: torch.dtype = torch.uint8,
    probability: bool = False,
    entropy: bool = False,
) -> Argmax:
    """Class, probability, entropy: see :func:`mtl_cuda.functional.argmax_upsampled`."""
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    full = upsample(logits, size, align_corners)
    classes = full.argmax(dim=1).masked_fill_(full.isnan().any(dim=1), -1).to(dtype)
    chances = full.softmax(dim=1)
    return Argmax(
        classes,
        chances.amax(dim=1) if probability else None,
        torch.special.entr(chances).sum(dim=1) if entropy else None,
    )


def instance_centroids(ids: Tensor) -> tuple[Tensor, Tensor]:
    """Centroid and size of every instance: see :func:`mtl_cuda.functional.instance_centroids`."""
    height, width = ids.shape[-2:]
    largest = int(ids.max()) if ids.numel() else 0
    one_hot = F.one_hot(ids.long().flatten(1), largest + 1)[..., 1:].to(torch.float64)
    rows, columns = torch.meshgrid(
        torch.arange(height, dtype=torch.float64, device=ids.device),
        torch.arange(width, dtype=torch.float64, device=ids.device),
        indexing="ij",
    )
    points = torch.stack([columns.flatten(), rows.flatten()], dim=1)
    counts = one_hot.sum(dim=1)
    sums = torch.einsum("bpk,pd->bkd", one_hot, points)
    return sums / counts[..., None], counts.long()


def instance_offsets(ids: Tensor) -> Tensor:
    """Vectors centroid - pixel [B,2,H,W] in float64, channel 0 = x, 1 = y; NaN where id is 0."""
    batch, height, width = ids.shape
    centroids, _ = instance_centroids(ids)
    nowhere = torch.full((batch, 1, 2), torch.nan, dtype=torch.float64, device=ids.device)
    table = torch.cat([nowhere, centroids], dim=1)
    targets = table[torch.arange(batch, device=ids.device)[:, None, None], ids.long()]
    columns = torch.arange(width, dtype=torch.float64, device=ids.device)
    rows = torch.arange(height, dtype=torch.float64, device=ids.device)
    return torch.stack([targets[..., 0] - columns, targets[..., 1] - rows[:, None]], dim=1)


def cross_entropy(
    logits: Tensor, target: Tensor, task: CrossEntropyTask, scale: Tensor | float = 1.0
) -> tuple[Tensor, Tensor]:
    """Mean of -log softmax(scale * logits)[target] and the number of valid pixels."""
    valid = target != task.ignore_index
    labels = target[valid].long()
    class_weights = task.class_weights or [1.0] * task.num_classes
    weights = torch.tensor(class_weights, dtype=logits.dtype, device=logits.device)
    if weights[labels].sum() == 0:
        return logits.new_zeros(()), valid.sum()
    picked = logits.permute(0, 2, 3, 1)[valid] * scale
    loss = F.cross_entropy(picked, labels, weights, label_smoothing=task.label_smoothing)
    return loss, valid.sum()


def l1(prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Mean over valid pixels of sum over channels |prediction - target|, and their number."""
    target = target.unsqueeze(1) if target.dim() == 3 else target
    valid = ~target.isnan().any(dim=1)
    if mask is not None:
        valid &= mask
    if not valid.any():
        return prediction.new_zeros(()), valid.sum()
    distance = (
        prediction.permute(0, 2, 3, 1)[valid]
        - target.to(prediction.dtype).permute(0, 2, 3, 1)[valid]
    ).abs()
    return distance.sum(dim=1).mean(), valid.sum()


def _raw_loss(
    task: Task, prediction: Tensor, target: Target, scale: Tensor | float
) -> tuple[Tensor, Tensor]:
    values, mask = target if isinstance(target, tuple) else (target, None)
    if isinstance(task, CrossEntropyTask):
        return cross_entropy(prediction, values, task, scale)
    if isinstance(task, InstanceOffsetTask):
        return l1(prediction, instance_offsets(values))
    return l1(prediction, values, mask)


def upsample(prediction: Tensor, size: tuple[int, int], align_corners: bool = False) -> Tensor:
    """Bilinear interpolation to ``size``; a prediction that has the size is returned as it is."""
    if prediction.shape[-2:] == size:
        return prediction
    return F.interpolate(prediction, size=size, mode="bilinear", align_corners=align_corners)


def multi_task_loss(
    predictions: Mapping[str, Tensor],
    targets: Mapping[str, Target],
    tasks: Mapping[str, Task],
    log_variances: Tensor | None = None,
    weights: Mapping[str, float] | None = None,
    align_corners: bool = False,
) -> LossTerms:
    """The weighed loss: see :func:`mtl_cuda.functional.multi_task_loss`."""
    total: Tensor | float = 0.0
    losses, factors, counts = [], [], []
    for index, (name, task) in enumerate(tasks.items()):
        target = targets[name]
        grid = target[0] if isinstance(target, tuple) else target
        prediction = predictions[name]
        if prediction.dtype in (torch.float16, torch.bfloat16):
            prediction = prediction.float()
        prediction = upsample(prediction, (grid.shape[-2], grid.shape[-1]), align_corners)
        one = prediction.new_ones(())
        if weights is not None:
            loss, count = _raw_loss(task, prediction, target, 1.0)
            factor = one * float(weights[name])
            term = factor * loss
        else:
            if log_variances is None:
                raise ValueError("log_variances: expected a tensor where weights are not given")
            s = log_variances[index].clamp(*LOG_VARIANCE_RANGE)
            scale = torch.exp(-s) if task.likelihood == "scaled_softmax" else 1.0
            loss, count = _raw_loss(task, prediction, target, scale)
            factor = {
                "softmax": torch.exp(-s),
                "scaled_softmax": one,
                "gaussian": torch.exp(-s) / 2,
                "laplace": torch.exp(-s / 2),
            }[task.likelihood]
            term = factor * loss
            if task.likelihood != "scaled_softmax":
                term = term + s / 2
        # Nothing valid, nothing added (but a zero gradient for whoever asks).
        total = total + (term if count > 0 else prediction[:0].sum())
        losses.append(loss)
        factors.append(factor.detach())
        counts.append(count)
    return LossTerms(
        torch.as_tensor(total), torch.stack(losses), torch.stack(factors), torch.stack(counts)
    )


def dbscan(
    points: Tensor, eps: float, min_samples: int, border: str = "dbscan"
) -> tuple[Tensor, Tensor]:
    """Labels and core points, pair by pair: see :func:`mtl_cuda.dbscan`."""
    count = len(points)
    x, y = points.double().unbind(1)
    squared = (x[:, None] - x) ** 2 + (y[:, None] - y) ** 2
    near = squared <= eps * eps
    core = near.sum(dim=1) >= min_samples
    # The smallest core index of each component spreads from neighbour to neighbour.
    nobody = count
    smallest = torch.where(core, torch.arange(count), nobody)
    while True:
        spread = torch.where(near & core, smallest, nobody).amin(dim=1)
        spread = torch.where(core, spread, nobody)
        if torch.equal(spread, smallest):
            break
        smallest = spread
    candidates = near & core
    if border == "nearest":
        to_core = torch.where(candidates, squared, torch.inf)
        candidates &= to_core == to_core.amin(dim=1, keepdim=True)
    at_border = torch.where(candidates, smallest, nobody).amin(dim=1)
    if border == "optics":
        at_border[torch.arange(count) < at_border] = nobody
    if border == "none":
        at_border[:] = nobody
    found = torch.where(core, smallest, at_border)
    starts = found[core].unique()
    return torch.where(found == nobody, -1, torch.searchsorted(starts, found)), core
