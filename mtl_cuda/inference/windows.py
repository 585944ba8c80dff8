"""Seeing a large image through overlapping windows."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from mtl_cuda.inference.options import Size

Predict = Callable[[Tensor], dict[str, Tensor]]
"""From images [B,3,H,W] to maps [B,C,h,w] by task."""


def blend_windows(
    predict: Predict, images: Tensor, window: Size, overlap: float, batch: int
) -> dict[str, Tensor]:
    """Predict images window by window, and average where windows overlap.

    The weight of a prediction falls linearly from the middle of its window to the edges, where a
    network knows least of the surroundings.

    Args:
        predict: gives maps of the size that it sees, that can be averaged.
        images: [B,3,H,W].
        window: height and width of the windows; an image that is smaller is seen as a whole.
        overlap: of neighbours, as a share of the window.
        batch: windows that `predict` sees at once.

    Returns:
        maps [B,C,H,W].
    """
    count, _, height, width = images.shape
    tall, wide = min(window[0], height), min(window[1], width)
    corners = [
        (image, top, left)
        for image in range(count)
        for top in window_starts(height, tall, overlap)
        for left in window_starts(width, wide, overlap)
    ]
    weight = tent(tall)[:, None] * tent(wide)
    weight = weight.to(images.device)
    weights = images.new_zeros(count, 1, height, width, dtype=torch.float32)
    sums: dict[str, Tensor] = {}
    for start in range(0, len(corners), batch):
        some = corners[start : start + batch]
        cut = torch.stack([images[i, :, y : y + tall, x : x + wide] for i, y, x in some])
        for image, top, left in some:
            weights[image, :, top : top + tall, left : left + wide] += weight
        for task, maps in predict(cut).items():
            if task not in sums:
                sums[task] = maps.new_zeros(count, maps.shape[1], height, width)
            for part, (image, top, left) in zip(maps, some):
                sums[task][image, :, top : top + tall, left : left + wide] += part * weight
    return {task: total / weights for task, total in sums.items()}


def window_starts(length: int, window: int, overlap: float) -> list[int]:
    """Where windows begin along one side: evenly, from end to end, `overlap` at least shared.

    Raises:
        ValueError: `window` is larger than `length`.
    """
    if window > length:
        raise ValueError(f"window: expected at most the length {length}, got {window}")
    stride = max(1, int(window * (1 - overlap)))
    steps = math.ceil((length - window) / stride)
    return [round(i * (length - window) / steps) for i in range(steps + 1)] if steps else [0]


def tent(length: int) -> Tensor:
    """Weights [length] that rise evenly to the middle and fall again; all positive."""
    rising = torch.arange(1, length + 1, dtype=torch.float32)
    return torch.minimum(rising, rising.flip(0)) / math.ceil(length / 2)


def upsampled(maps: Tensor, size: Size) -> Tensor:
    """Maps [B,C,h,w] at another size, as losses and metrics see them."""
    return F.interpolate(maps, size, mode="bilinear", align_corners=False)
