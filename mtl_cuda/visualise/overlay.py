"""Predictions drawn on the image itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from mtl_cuda.data.info import DatasetInfo
from mtl_cuda.visualise.colours import (
    Picture,
    colour_classes,
    colour_inverse_depth,
    colour_offsets,
    instance_edges,
)

_OPACITY = 0.5


def overlay(
    image: Picture, prediction: Mapping[str, npt.NDArray[Any]], info: DatasetInfo
) -> Picture:
    """Draw a prediction on its image.

    Classes tint the image in their colours, and instances have a white outline. A prediction
    without classes tints it by inverse depth, or else by the vectors.

    Args:
        image: uint8 [H, W, 3], RGB.
        prediction: as for `panel`, not empty.
        info: for the colours.

    Returns:
        uint8 [H, W, 3], RGB.

    Raises:
        ValueError: there is nothing to draw, or a map has not the size of the image.
    """
    if "semantic" in prediction:
        tint = colour_classes(prediction["semantic"], info.palette)
        known = prediction["semantic"] < info.num_classes
    elif "depth" in prediction:
        tint = colour_inverse_depth(prediction["depth"])
        known = np.isfinite(prediction["depth"])
    elif "instance" in prediction:
        tint = colour_offsets(prediction["instance"])
        known = np.isfinite(prediction["instance"]).all(axis=0)
    else:
        raise ValueError("prediction: expected semantic, depth or instance, got none of them")
    if tint.shape != image.shape:
        raise ValueError(f"prediction: expected the image's {image.shape}, got {tint.shape}")
    mixed = np.rint((1 - _OPACITY) * image + _OPACITY * tint).astype(np.uint8)
    picture = np.where(known[..., None], mixed, image)
    if "clusters" in prediction:
        ids = prediction["clusters"]
        picture[instance_edges(ids) & (ids > 0)] = 255
    return picture
