"""One encoder, one decoder per task: DeepLabV3 for several dense predictions at once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType

from torch import Tensor, nn

from mtl_cuda.models.aspp import ASPP
from mtl_cuda.models.layers import check_positive_int, conv_bn_relu, initialise_for_relu
from mtl_cuda.models.pretrained import load_pretrained_backbone
from mtl_cuda.models.resnet import ResNet

#: Output channels per task on Cityscapes: 19 classes, an offset (x, y), an inverse depth.
CITYSCAPES_HEADS: Mapping[str, int] = MappingProxyType({"semantic": 19, "instance": 2, "depth": 1})


class MultiTaskDeepLabV3(nn.Module):
    """The network of Kendall et al., CVPR 2018 (arXiv 1705.07115, appendix A).

    A dilated ResNet (He et al., arXiv 1512.03385) and atrous spatial pyramid pooling (Chen et
    al., DeepLabV3, arXiv 1706.05587) make one representation for all tasks; every task decodes
    it by a 3x3 convolution with batch normalisation and ReLU and a 1x1 convolution to its
    channels. Two details follow DeepLabV3 where the appendix differs: the pyramid is projected
    to ``aspp_channels`` before the decoders, and the decoders' first convolution is 3x3, not 1x1.

    Args:
        backbone: "resnet18", "resnet34", "resnet50" or "resnet101".
        output_stride: 8, 16 or 32: image pixels per pixel of the predictions.
        heads: Output channels by task name, in the order of the result. Any number of tasks; a
            name is free unless `torch.nn.ModuleDict` cannot hold it ("a.b", "", "keys").
        pretrained_backbone: Local checkpoint for the ResNet, see `load_pretrained_backbone`.
        aspp_channels: Channels of the shared representation.
        decoder_channels: Channels inside every decoder.
        width: Multiplies the ResNet's channels; see `ResNet`.
        dropout: Probability of zeroing a value of the shared representation in training.
        checkpointing: Compute the ResNet's blocks twice, to keep less in memory; see `ResNet`.

    Raises:
        ValueError: An argument outside these values, or a checkpoint that does not fit.
        FileNotFoundError: ``pretrained_backbone`` is not a file.
    """

    def __init__(
        self,
        backbone: str = "resnet101",
        output_stride: int = 8,
        heads: Mapping[str, int] = CITYSCAPES_HEADS,
        pretrained_backbone: str | os.PathLike[str] | None = None,
        aspp_channels: int = 256,
        decoder_channels: int = 256,
        width: float = 1.0,
        dropout: float = 0.1,
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        _check_heads(heads)
        check_positive_int("aspp_channels", aspp_channels)
        check_positive_int("decoder_channels", decoder_channels)
        self.output_stride = output_stride
        self.backbone = ResNet(backbone, output_stride, width, checkpointing)
        if pretrained_backbone is not None:
            load_pretrained_backbone(self.backbone, pretrained_backbone)
        self.aspp = ASPP(self.backbone.out_channels, aspp_channels, output_stride, dropout)
        self.decoders = nn.ModuleDict(
            {
                name: _decoder(aspp_channels, decoder_channels, channels)
                for name, channels in heads.items()
            }
        )

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Predict every task at low resolution.

        Args:
            images: Floating point [B, 3, H, W] of any size, normalised as the backbone expects.

        Returns:
            Task name -> [B, channels, ceil(H / output_stride), ceil(W / output_stride)]: class
            logits or regressed values, without activation. Upsampling is left to the caller.

        Raises:
            ValueError: ``images`` is not [B, 3, H, W].
            TypeError: ``images`` is not floating point.
        """
        _check_images(images)
        features = self.aspp(self.backbone(images))
        return {name: decoder(features) for name, decoder in self.decoders.items()}


def _decoder(in_channels: int, hidden_channels: int, out_channels: int) -> nn.Sequential:
    decoder = conv_bn_relu(in_channels, hidden_channels, 3)
    initialise_for_relu(decoder)
    # Outputs start near zero: equal class probabilities, no offset, and no task's loss dominates.
    last = nn.Conv2d(hidden_channels, out_channels, 1)
    nn.init.normal_(last.weight, std=0.01)
    nn.init.zeros_(last.bias)  # type: ignore[arg-type]
    return decoder.append(last)


def _check_heads(heads: Mapping[str, int]) -> None:
    if not isinstance(heads, Mapping) or not heads:
        raise ValueError(f"heads must map at least one task name to its channels, got {heads!r}")
    for name, channels in heads.items():
        try:
            nn.ModuleDict().add_module(name, None)
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"heads: {name!r} cannot be a task's name, because it is empty, contains a dot, "
                "is not a string or is an attribute of torch.nn.ModuleDict: choose another"
            ) from error
        check_positive_int(f"heads[{name!r}]", channels)


def _check_images(images: Tensor) -> None:
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"images must be [B, 3, H, W], got shape {list(images.shape)}")
    if not images.is_floating_point():
        raise TypeError(
            f"images must be floating point and normalised, got {images.dtype}: divide by 255, "
            "then subtract the mean and divide by the standard deviation"
        )
