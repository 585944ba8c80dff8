"""Building blocks that the encoder, ASPP and the decoders share."""

from __future__ import annotations

from torch import nn


def conv_bn_relu(
    in_channels: int, out_channels: int, kernel_size: int, dilation: int = 1
) -> nn.Sequential:
    """Convolution that keeps the size (odd ``kernel_size``), batch normalisation, ReLU."""
    padding = dilation * (kernel_size // 2)
    return nn.Sequential(
        nn.Conv2d(
            in_channels, out_channels, kernel_size, padding=padding, dilation=dilation, bias=False
        ),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def initialise_for_relu(module: nn.Module) -> None:
    """Fill every convolution in ``module`` with He et al.'s normal weights (arXiv 1502.01852).

    Batch normalisation already starts at weight 1 and bias 0, as it should.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")


def check_positive_int(name: str, value: object) -> None:
    """Raise ValueError that names the argument unless ``value`` is an int of at least 1."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be a positive integer, got {value!r}")
