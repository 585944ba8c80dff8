"""Several looks at the same images, made into one prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from mtl_cuda.data import normalise
from mtl_cuda.data.transforms import resize_image
from mtl_cuda.inference.options import PRECISIONS, PredictOptions, Size
from mtl_cuda.inference.windows import blend_windows, upsampled

Picture = npt.NDArray[np.uint8]


def prepare(
    images: Sequence[Picture], size: Size, scales: Sequence[float], device: torch.device
) -> dict[float, Tensor]:
    """Resize pictures, uint8 [H,W,3] of any sizes, and normalise them: by scale, [B,3,h,w].

    Every scale is made from the pictures themselves, and scale 1 is `size`.
    """
    return {
        scale: torch.stack([_as_seen(image, _scaled(size, scale)) for image in images]).to(device)
        for scale in scales
    }


def forward(network: nn.Module, images: Tensor, precision: str) -> dict[str, Tensor]:
    """Low-resolution predictions, in float32 whatever the network computes in."""
    dtype = PRECISIONS[precision]
    with torch.autocast(images.device.type, dtype=dtype, enabled=dtype is not None):
        predictions = network(images)
    return {task: prediction.float() for task, prediction in predictions.items()}


def predict_looks(
    network: nn.Module,
    prepared: Mapping[float, Tensor],
    size: Size,
    depth_unit: str | None,
    options: PredictOptions,
) -> dict[str, Tensor]:
    """What the network makes of images, looked at as the options say.

    Args:
        network: in evaluation mode.
        prepared: the images by scale, see `prepare`.
        size: height and width at scale 1.
        depth_unit: "px" for disparities, which grow with the width of an image.
        options: windows, scales, mirror, precision, batch.

    Returns:
        by task, maps [B,C,h,w] as the network gives them for images of `size`: logits, vectors and
        disparities in pixels of that size. After a single look at the whole image they are the
        network's own, at its low resolution; else means at `size`, of classes the logarithms of
        mean probabilities.
    """
    if options.is_plain:
        return forward(network, prepared[1.0], options.precision)
    sums: dict[str, Tensor] = {}
    looks = [
        (images, flip) for images in prepared.values() for flip in (False, True)[: 1 + options.flip]
    ]
    for images, flip in looks:
        seen = (images.shape[-2], images.shape[-1])
        for task, values in _one_look(network, images, flip, options).items():
            values = upsampled(values, size) if seen != size else values
            values = values * unit_ratio(task, seen, size, depth_unit, values)
            sums[task] = sums[task] + values if task in sums else values
    means = {task: total / len(looks) for task, total in sums.items()}
    if "semantic" in means:
        probability = means["semantic"].clamp(min=torch.finfo(torch.float32).tiny)
        means["semantic"] = probability.log()
    return means


def _one_look(
    network: nn.Module, images: Tensor, flip: bool, options: PredictOptions
) -> dict[str, Tensor]:
    """Maps of the size of the images: probabilities, vectors, inverse depth."""

    def predict(seen: Tensor) -> dict[str, Tensor]:
        size = (seen.shape[-2], seen.shape[-1])
        maps = {
            task: upsampled(values, size)
            for task, values in forward(network, seen, options.precision).items()
        }
        if "semantic" in maps:
            maps["semantic"] = maps["semantic"].softmax(dim=1)
        return maps

    images = images.flip(-1) if flip else images
    if options.window is None:
        maps = predict(images)
    else:
        maps = blend_windows(predict, images, options.window, options.overlap, options.batch)
    return {task: _mirrored(task, values) for task, values in maps.items()} if flip else maps


def _mirrored(task: str, values: Tensor) -> Tensor:
    """Maps of mirrored images as those of the images: vectors point the other way in x."""
    values = values.flip(-1)
    if task == "instance":
        values = values * values.new_tensor([-1.0, 1.0])[:, None, None]
    return values


def unit_ratio(
    task: str, seen: Size, size: Size, depth_unit: str | None, values: Tensor
) -> Tensor | float:
    """What turns values in pixels of an image of size `seen` into those of one of `size`."""
    height, width = size[0] / seen[0], size[1] / seen[1]
    if task == "instance":
        return values.new_tensor([width, height])[:, None, None]
    return width if task == "depth" and depth_unit == "px" else 1.0


def _as_seen(image: Picture, size: Size) -> Tensor:
    return normalise(image if image.shape[:2] == size else resize_image(image, size))


def _scaled(size: Size, scale: float) -> Size:
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
