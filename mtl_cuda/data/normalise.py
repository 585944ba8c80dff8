"""Between pictures (uint8 [H, W, 3], RGB) and what a network takes (float32 [3, H, W])."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

IMAGE_MEAN = (0.485, 0.456, 0.406)
"""Mean of ImageNet's channels in [0, 1]: published ResNet weights expect images less this mean."""

IMAGE_STD = (0.229, 0.224, 0.225)
"""Standard deviation of ImageNet's channels in [0, 1]."""


def normalise(image: npt.NDArray[np.uint8]) -> Tensor:
    """Turn a picture, uint8 [H, W, 3], into float32 [3, H, W]: (v / 255 - mean) / std."""
    mean, std = _scaled_statistics()
    planes = torch.from_numpy(image).permute(2, 0, 1)
    return planes.to(torch.float32, memory_format=torch.contiguous_format).sub_(mean).div_(std)


def denormalise(image: Tensor) -> npt.NDArray[np.uint8]:
    """Turn a network's input [3, H, W], of any floating dtype and device, back into a picture.

    Returns:
        uint8 [H, W, 3]; exactly the picture that :func:`normalise` was given.

    Raises:
        ValueError: `image` is not [3, H, W].
    """
    if image.ndim != 3 or image.shape[0] != 3:
        raise ValueError(f"image must be [3, H, W], got {tuple(image.shape)}")
    mean, std = _scaled_statistics()
    values = image.detach().to("cpu", torch.float32) * std + mean
    return values.round_().clamp_(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()


def _scaled_statistics() -> tuple[Tensor, Tensor]:
    mean, std = (255 * torch.tensor(values)[:, None, None] for values in (IMAGE_MEAN, IMAGE_STD))
    return mean, std
