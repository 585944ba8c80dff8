from __future__ import annotations

import pytest
import torch
from torch import nn

from mtl_cuda.models import ASPP


@pytest.mark.parametrize(
    ("output_stride", "rates"), [(8, [12, 24, 36]), (16, [6, 12, 18]), (32, [3, 6, 9])]
)
def test_rates_scale_with_the_output_stride(output_stride: int, rates: list[int]) -> None:
    aspp = ASPP(4, 8, output_stride)
    found = [
        layer.dilation[0]
        for layer in aspp.modules()
        if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3)
    ]
    assert found == rates


@pytest.mark.parametrize("size", [(5, 7), (1, 1), (40, 3)])
def test_size_is_kept(size: tuple[int, int]) -> None:
    assert ASPP(6, 10).eval()(torch.randn(2, 6, *size)).shape == (2, 10, *size)


def test_parameter_count_of_the_default() -> None:
    # five branches (1x1, three 3x3, 1x1) and the projection, each with 2 * 256 of normalisation
    weights = 256 * 2048 * (1 + 3 * 9 + 1) + 256 * 5 * 256
    with torch.device("meta"):
        assert sum(p.numel() for p in ASPP(2048).parameters()) == weights + 6 * 2 * 256


def test_image_pooling_reaches_every_pixel() -> None:
    torch.manual_seed(0)
    aspp = ASPP(8, 16, output_stride=8).eval()
    features = torch.rand(1, 8, 5, 97, requires_grad=True)  # 97 > 2 * 36: beyond every dilation
    aspp(features)[0, :, 2, 0].sum().backward()
    assert (features.grad.abs().sum(1) > 0).all()


def test_single_image_trains_and_leaves_running_statistics_of_pooling() -> None:
    torch.manual_seed(0)
    aspp = ASPP(4, 8).train()
    pooling = aspp.branches[-1]
    before = pooling.bn.running_mean.clone()
    out = aspp(torch.randn(1, 4, 6, 6))
    out.sum().backward()
    assert out.isfinite().all()
    assert torch.equal(pooling.bn.running_mean, before)
    assert all(p.grad is not None for p in aspp.parameters())


def test_larger_batch_uses_batch_statistics_in_pooling() -> None:
    torch.manual_seed(0)
    pooling = ASPP(4, 8).train().branches[-1]
    features = torch.randn(6, 4, 3, 3) + 5
    out = pooling(features)
    values = pooling.conv(features.mean((2, 3), keepdim=True))[:, :, 0, 0]
    expected = torch.relu(
        (values - values.mean(0)) / (values.var(0, unbiased=False) + pooling.bn.eps).sqrt()
    )
    torch.testing.assert_close(out[:, :, 1, 2], expected)
    assert pooling.bn.num_batches_tracked == 1


def test_channels_last_is_kept() -> None:
    aspp = ASPP(4, 8).to(memory_format=torch.channels_last)
    features = torch.randn(2, 4, 6, 9).contiguous(memory_format=torch.channels_last)
    assert aspp(features).is_contiguous(memory_format=torch.channels_last)


def test_synchronised_batch_norm_replaces_the_pooling_norm() -> None:
    aspp = nn.SyncBatchNorm.convert_sync_batchnorm(ASPP(4, 8))
    assert isinstance(aspp.branches[-1].bn, nn.SyncBatchNorm)


def test_dropout_only_in_training() -> None:
    torch.manual_seed(0)
    aspp, features = ASPP(4, 64, dropout=0.9), torch.randn(2, 4, 6, 6)
    assert (aspp.train()(features) == 0).float().mean() > 0.8
    assert torch.equal(aspp.eval()(features), aspp(features))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"in_channels": 0}, "in_channels must be a positive integer, got 0"),
        ({"in_channels": 4, "out_channels": 2.5}, "out_channels must be a positive integer"),
        ({"in_channels": 4, "output_stride": 4}, "output_stride must be 8, 16 or 32, got 4"),
        ({"in_channels": 4, "dropout": 1.5}, "dropout"),
    ],
)
def test_exceptions(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ASPP(**arguments)
