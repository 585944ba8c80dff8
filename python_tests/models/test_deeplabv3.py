from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from mtl_cuda.models import BACKBONES, OUTPUT_STRIDES, MultiTaskDeepLabV3

HEADS = {"semantic": 19, "instance": 2, "depth": 1}


def small(**arguments: Any) -> MultiTaskDeepLabV3:
    torch.manual_seed(0)
    settings = {
        "backbone": "resnet18",
        "output_stride": 16,
        "aspp_channels": 16,
        "decoder_channels": 8,
        "width": 0.125,
    }
    return MultiTaskDeepLabV3(**(settings | arguments))


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("output_stride", OUTPUT_STRIDES)
@pytest.mark.parametrize("size", [(65, 97), (48, 64)])
def test_output_shapes(backbone: str, output_stride: int, size: tuple[int, int]) -> None:
    model = small(backbone=backbone, output_stride=output_stride).eval()
    with torch.no_grad():
        predictions = model(torch.randn(2, 3, *size))
    low = tuple(math.ceil(side / output_stride) for side in size)
    assert list(predictions) == list(HEADS)
    for name, channels in HEADS.items():
        assert predictions[name].shape == (2, channels, *low)


def test_defaults_are_the_papers_network() -> None:
    with torch.device("meta"):
        model = MultiTaskDeepLabV3()
    assert (model.backbone.name, model.output_stride) == ("resnet101", 8)
    encoder = 44_549_160 - (2048 * 1000 + 1000)  # torchvision's count without the classifier
    aspp = 256 * 2048 * 29 + 256 * 1280 + 6 * 512
    decoders = sum(256 * 256 * 9 + 512 + (256 + 1) * channels for channels in HEADS.values())
    assert sum(p.numel() for p in model.parameters()) == encoder + aspp + decoders


@pytest.mark.parametrize(
    "heads", [{"a": 1}, {f"task {i}": i + 1 for i in range(5)}, {"tiefe/ü": 3}]
)
def test_any_heads(heads: dict[str, int]) -> None:
    predictions = small(heads=heads).eval()(torch.randn(1, 3, 32, 32))
    assert {name: p.shape[1] for name, p in predictions.items()} == heads


@pytest.mark.parametrize("backbone", ["resnet18", "resnet50"])
@pytest.mark.parametrize("batch", [1, 3])
def test_gradients_reach_every_parameter(backbone: str, batch: int) -> None:
    model = small(backbone=backbone, dropout=0.0).train()
    predictions = model(torch.randn(batch, 3, 65, 97))
    sum(p.square().sum() for p in predictions.values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


def test_each_head_leaves_the_others_decoders_alone() -> None:
    model = small().train()
    model(torch.randn(2, 3, 64, 64))["depth"].sum().backward()
    assert all(p.grad is not None for p in model.decoders["depth"].parameters())
    assert all(p.grad is None for p in model.decoders["semantic"].parameters())


def test_initial_predictions_are_near_zero_but_not_constant() -> None:
    model = small(aspp_channels=64, decoder_channels=64, width=0.5).train()
    with torch.no_grad():
        for prediction in model(torch.randn(4, 3, 128, 128)).values():
            assert prediction.abs().max() < 1
            assert prediction.std() > 1e-4


def test_a_step_of_descent_lowers_the_loss() -> None:
    model = small(dropout=0.0).train()
    images, target = torch.randn(4, 3, 64, 64), torch.randn(4, 1, 4, 4)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05)
    losses = []
    for _ in range(8):
        loss = (model(images)["depth"] - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


def test_channels_last_gives_the_same() -> None:
    model, images = small().eval(), torch.randn(2, 3, 65, 64)
    with torch.no_grad():
        expected = model(images)
        model = model.to(memory_format=torch.channels_last)
        predictions = model(images.contiguous(memory_format=torch.channels_last))
    for name, prediction in predictions.items():
        torch.testing.assert_close(prediction, expected[name], atol=1e-5, rtol=1e-4)
    assert predictions["semantic"].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("batch", [1, 2])
def test_dynamo(batch: int) -> None:
    model = small(dropout=0.0).train()
    images = torch.randn(batch, 3, 64, 64)
    expected = model(images)
    predictions = torch.compile(model, fullgraph=True, backend="eager")(images)
    for name, prediction in predictions.items():
        torch.testing.assert_close(prediction, expected[name])


def test_autocast_and_bfloat16() -> None:
    model = small().eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model(torch.randn(1, 3, 32, 32))["depth"].dtype == torch.bfloat16
    assert model.bfloat16()(torch.randn(1, 3, 32, 32).bfloat16())["depth"].isfinite().all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"backbone": "vgg16"}, "unknown backbone 'vgg16'; choose one of resnet18"),
        ({"output_stride": 4}, "output_stride must be one of 8, 16, 32, got 4"),
        ({"heads": {}}, "at least one task"),
        ({"heads": ["semantic"]}, "must map at least one task name"),
        ({"heads": {"depth.left": 1}}, "'depth.left' cannot be a task's name"),
        ({"heads": {"": 1}}, "'' cannot be"),
        ({"heads": {"keys": 1}}, "'keys' cannot be"),
        ({"heads": {3: 1}}, "3 cannot be"),
        ({"heads": {"depth": 0}}, r"heads\['depth'\] must be a positive integer, got 0"),
        ({"heads": {"depth": True}}, "positive integer, got True"),
        ({"aspp_channels": 0}, "aspp_channels must be a positive integer"),
        ({"decoder_channels": -1}, "decoder_channels must be a positive integer"),
        ({"dropout": -0.1}, "dropout"),
        ({"width": 0}, "width must be"),
    ],
)
def test_exceptions(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**arguments)


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 1, 32, 32), (1, 32, 32, 3), (1, 1, 3, 32, 32)])
def test_wrong_image_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"images must be \[B, 3, H, W\], got shape"):
        small()(torch.zeros(shape))


def test_wrong_image_dtype() -> None:
    with pytest.raises(TypeError, match=r"floating point and normalised, got torch\.uint8"):
        small()(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))
