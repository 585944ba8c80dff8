"""Atrous spatial pyramid pooling: the same features seen at several scales at once.

Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation" (DeepLabV3, arXiv
1706.05587), section 3.3.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtl_cuda.models.layers import check_positive_int, conv_bn_relu, initialise_for_relu

# Dilations of the 3x3 branches in pixels of the feature map; 96, 192 and 288 image pixels always.
_RATES = {8: (12, 24, 36), 16: (6, 12, 18), 32: (3, 6, 9)}


class _PooledBatchNorm(nn.BatchNorm2d):
    """Batch normalisation of [B, C, 1, 1] that also trains with B = 1.

    A single value per channel has no variance, and plain batch normalisation refuses it. The
    running statistics take its place then, and are left as they are.
    """

    def forward(self, input: Tensor) -> Tensor:
        if self.training and input.shape[0] == 1:
            return F.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(input)


class _ImagePooling(nn.Module):
    """Mean over the image -> 1x1 convolution -> batch normalisation -> ReLU, spread out again."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.bn = _PooledBatchNorm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        pooled = F.relu(self.bn(self.conv(x.mean((2, 3), keepdim=True))))
        return pooled.expand(-1, -1, *x.shape[2:])


class ASPP(nn.Module):
    """A 1x1, three dilated 3x3 convolutions and image pooling, concatenated and projected.

    Every branch and the projection end in batch normalisation and ReLU. Batches of a single
    image can be trained: the image-level branch then normalises by its running statistics.

    Args:
        in_channels: Channels of the features.
        out_channels: Channels of every branch and of the result.
        output_stride: 8, 16 or 32; the dilations are 12/24/36, 6/12/18 or 3/6/9.
        dropout: Probability of zeroing a value of the result in training.

    Raises:
        ValueError: A channel count below 1, another output stride, a dropout outside [0, 1].
    """

    def __init__(
        self, in_channels: int, out_channels: int = 256, output_stride: int = 8, dropout: float = 0
    ) -> None:
        super().__init__()
        check_positive_int("in_channels", in_channels)
        check_positive_int("out_channels", out_channels)
        if output_stride not in _RATES:
            raise ValueError(f"output_stride must be 8, 16 or 32, got {output_stride!r}")
        self.branches = nn.ModuleList(
            [conv_bn_relu(in_channels, out_channels, 1)]
            + [conv_bn_relu(in_channels, out_channels, 3, rate) for rate in _RATES[output_stride]]
            + [_ImagePooling(in_channels, out_channels)]
        )
        self.project = conv_bn_relu(len(self.branches) * out_channels, out_channels, 1)
        self.dropout = nn.Dropout(dropout)
        initialise_for_relu(self)

    def forward(self, features: Tensor) -> Tensor:
        """[B, in_channels, h, w] -> [B, out_channels, h, w]."""
        pyramid = torch.cat([branch(features) for branch in self.branches], dim=1)
        return self.dropout(self.project(pyramid))
