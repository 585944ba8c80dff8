"""ResNet-18/34/50/101 without a classifier, dilated to an output stride of 8, 16 or 32.

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016 (arXiv 1512.03385), in the
variant that torchvision's published weights expect: the stride of a bottleneck sits in its 3x3
convolution (ResNet v1.5), and modules are named ``conv1, bn1, layer1.0.conv1, ...,
layer2.0.downsample.0, ...``.

Dilation (Chen et al., arXiv 1706.05587, section 3): where a stage gives up its stride, every
later convolution spreads its taps by that factor, so that it still meets the inputs it was
trained on. The dilated network therefore computes exactly the undilated one's features, at more
places, with the same weights.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from mtl_cuda.models.layers import initialise_for_relu
from mtl_cuda.models.recompute import recomputed

# output stride -> (stride, dilation) of the four stages; the stem before them has stride 4.
_STAGE_PLANS = {
    8: ((1, 1), (2, 1), (1, 2), (1, 4)),
    16: ((1, 1), (2, 1), (2, 1), (1, 2)),
    32: ((1, 1), (2, 1), (2, 1), (2, 1)),
}

OUTPUT_STRIDES: tuple[int, ...] = tuple(_STAGE_PLANS)


def _conv1x1(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)


def _conv3x3(in_channels: int, out_channels: int, stride: int, dilation: int) -> nn.Conv2d:
    return nn.Conv2d(
        in_channels, out_channels, 3, stride, padding=dilation, dilation=dilation, bias=False
    )


class _Block(nn.Module):
    """Residual block: ReLU(residual(x) + shortcut(x)); subclasses define the residual."""

    expansion: int

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        out_channels = channels * self.expansion
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                _conv1x1(in_channels, out_channels, stride), nn.BatchNorm2d(out_channels)
            )

    def residual(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        out = self.residual(x)
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


class BasicBlock(_Block):
    """Two 3x3 convolutions (ResNet-18 and -34).

    ``entry_dilation`` belongs to the convolution that carries the stride and so still reads the
    grid of the previous stage; ``dilation`` to the 3x3 convolutions behind it.
    """

    expansion = 1

    def __init__(
        self, in_channels: int, channels: int, stride: int, entry_dilation: int, dilation: int
    ) -> None:
        super().__init__(in_channels, channels, stride)
        self.conv1 = _conv3x3(in_channels, channels, stride, entry_dilation)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = _conv3x3(channels, channels, 1, dilation)
        self.bn2 = nn.BatchNorm2d(channels)

    def residual(self, x: Tensor) -> Tensor:
        """[B, in_channels, H, W] -> [B, channels, H/stride, W/stride]."""
        out = self.relu(self.bn1(self.conv1(x)))
        return self.bn2(self.conv2(out))


class Bottleneck(_Block):
    """1x1, 3x3 (with the stride), 1x1 convolutions (ResNet-50 and -101).

    Arguments as for `BasicBlock`; with a single 3x3 convolution only ``entry_dilation`` counts.
    """

    expansion = 4

    def __init__(
        self, in_channels: int, channels: int, stride: int, entry_dilation: int, dilation: int
    ) -> None:
        super().__init__(in_channels, channels, stride)
        self.conv1 = _conv1x1(in_channels, channels)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = _conv3x3(channels, channels, stride, entry_dilation)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = _conv1x1(channels, channels * self.expansion)
        self.bn3 = nn.BatchNorm2d(channels * self.expansion)

    def residual(self, x: Tensor) -> Tensor:
        """[B, in_channels, H, W] -> [B, 4 * channels, H/stride, W/stride]."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        return self.bn3(self.conv3(out))


# name -> block and number of blocks in the four stages (He et al., table 1)
_ARCHITECTURES: dict[str, tuple[type[BasicBlock] | type[Bottleneck], tuple[int, ...]]] = {
    "resnet18": (BasicBlock, (2, 2, 2, 2)),
    "resnet34": (BasicBlock, (3, 4, 6, 3)),
    "resnet50": (Bottleneck, (3, 4, 6, 3)),
    "resnet101": (Bottleneck, (3, 4, 23, 3)),
}

BACKBONES: tuple[str, ...] = tuple(_ARCHITECTURES)


def _stem_channels(width: float) -> int:
    """64 channels times ``width``, to the nearest multiple of 8 and at least 8."""
    if not 0 < width < math.inf:
        raise ValueError(f"width must be a positive finite number, got {width!r}")
    return max(8, 8 * round(8 * width))


class ResNet(nn.Module):
    """ResNet feature extractor: images [B, 3, H, W] -> features [B, out_channels, h, w].

    h and w are H and W divided by ``output_stride``, rounded up.

    Args:
        name: One of `BACKBONES`.
        output_stride: 8, 16 or 32. It changes no weight, so one checkpoint serves all three.
        width: Multiplies every channel count (the 64 of the stem is rounded to a multiple of 8
            and the others follow it). Anything but 1 is for small networks trained from scratch.
        checkpointing: Keep only what goes into each residual block, and compute the rest again in
            the backward pass; see `mtl_cuda.models.recompute`.

    Raises:
        ValueError: Unknown name, unsupported output stride, or a width that is not positive.
    """

    def __init__(
        self,
        name: str = "resnet101",
        output_stride: int = 32,
        width: float = 1.0,
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        if name not in _ARCHITECTURES:
            raise ValueError(f"unknown backbone {name!r}; choose one of {', '.join(BACKBONES)}")
        if output_stride not in _STAGE_PLANS:
            raise ValueError(
                f"output_stride must be one of {', '.join(map(str, OUTPUT_STRIDES))}, "
                f"got {output_stride!r}"
            )
        block, depths = _ARCHITECTURES[name]
        base = _stem_channels(width)
        self.name = name
        self.output_stride = output_stride
        self.width = width
        self.checkpointing = checkpointing
        self.out_channels = 8 * base * block.expansion

        self.conv1 = nn.Conv2d(3, base, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(base)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        in_channels, entry_dilation = base, 1
        stages = []
        for index, (depth, (stride, dilation)) in enumerate(
            zip(depths, _STAGE_PLANS[output_stride])
        ):
            channels = base * 2**index
            blocks = [block(in_channels, channels, stride, entry_dilation, dilation)]
            in_channels = channels * block.expansion
            blocks += [
                block(in_channels, channels, 1, dilation, dilation) for _ in range(depth - 1)
            ]
            stages.append(nn.Sequential(*blocks))
            entry_dilation = dilation
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        initialise_for_relu(self)

    def forward(self, images: Tensor) -> Tensor:
        """Features of the last stage, [B, out_channels, ceil(H/stride), ceil(W/stride)]."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        again = self.checkpointing and torch.is_grad_enabled()
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            for block in stage:
                x = recomputed(block, x) if again else block(x)
        return x
