from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mtl_cuda.models import BACKBONES, OUTPUT_STRIDES, ResNet
from mtl_cuda.models.resnet import BasicBlock

DEPTHS = {
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
}
# torchvision's documented num_params and the length of its state dicts, classifier included
PUBLISHED_PARAMETERS = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
}
PUBLISHED_KEYS = {"resnet18": 122, "resnet34": 218, "resnet50": 320, "resnet101": 626}


def on_meta(name: str, output_stride: int = 32) -> ResNet:
    with torch.device("meta"):
        return ResNet(name, output_stride)


def torchvision_keys(name: str) -> set[str]:
    """Names in torchvision's state dict, by its naming rule, without the classifier fc.*."""
    bottleneck = name in ("resnet50", "resnet101")
    convolutions = 3 if bottleneck else 2

    def norm(prefix: str) -> set[str]:
        suffixes = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
        return {f"{prefix}.{suffix}" for suffix in suffixes}

    keys = {"conv1.weight"} | norm("bn1")
    for stage, depth in enumerate(DEPTHS[name], start=1):
        for block in range(depth):
            prefix = f"layer{stage}.{block}"
            for index in range(1, convolutions + 1):
                keys |= {f"{prefix}.conv{index}.weight"} | norm(f"{prefix}.bn{index}")
            if block == 0 and (stage > 1 or bottleneck):
                keys |= {f"{prefix}.downsample.0.weight"} | norm(f"{prefix}.downsample.1")
    return keys


def randomise_norms(model: nn.Module) -> None:
    """Give batch normalisation statistics and weights that a mix-up would reveal."""
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.running_mean)
            nn.init.uniform_(layer.running_var, 0.5, 2)
            nn.init.uniform_(layer.weight, 0.3, 0.6)
            nn.init.normal_(layer.bias)


@pytest.mark.parametrize("name", BACKBONES)
def test_parameter_count_is_torchvisions_without_classifier(name: str) -> None:
    model = on_meta(name)
    classifier = 1000 * model.out_channels + 1000
    assert sum(p.numel() for p in model.parameters()) + classifier == PUBLISHED_PARAMETERS[name]


@pytest.mark.parametrize("name", BACKBONES)
def test_names_are_torchvisions_without_classifier(name: str) -> None:
    keys = set(on_meta(name).state_dict())
    assert keys == torchvision_keys(name)
    assert len(keys) + 2 == PUBLISHED_KEYS[name]


@pytest.mark.parametrize("name", BACKBONES)
def test_output_stride_changes_no_weight(name: str) -> None:
    shapes = [
        {key: value.shape for key, value in on_meta(name, stride).state_dict().items()}
        for stride in OUTPUT_STRIDES
    ]
    assert all(other == shapes[0] for other in shapes[1:])


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
@pytest.mark.parametrize("output_stride", [8, 16])
@pytest.mark.parametrize("size", [(96, 160), (67, 93)])
def test_dilated_features_contain_the_undilated_ones(
    name: str, output_stride: int, size: tuple[int, int]
) -> None:
    """The defining property of dilation: same weights, same values, on a finer grid."""
    torch.manual_seed(0)
    plain = ResNet(name, 32, width=0.125)
    randomise_norms(plain)
    dilated = ResNet(name, output_stride, width=0.125)
    dilated.load_state_dict(plain.state_dict())
    images = torch.randn(2, 3, *size, dtype=torch.float64)
    step = 32 // output_stride
    with torch.no_grad():
        coarse, fine = plain.double().eval()(images), dilated.double().eval()(images)
    torch.testing.assert_close(fine[..., ::step, ::step], coarse)
    assert coarse.std() > 0.1


def dilations(stage: nn.Sequential) -> list[list[int]]:
    return [
        [
            m.dilation[0]
            for m in block.modules()
            if isinstance(m, nn.Conv2d) and m.kernel_size[0] > 1
        ]
        for block in stage
    ]


def test_first_block_of_a_dilated_bottleneck_stage_keeps_the_previous_dilation() -> None:
    model = on_meta("resnet50", 8)
    assert dilations(model.layer3) == [[1], [2], [2], [2], [2], [2]]
    assert dilations(model.layer4) == [[2], [4], [4]]
    assert dilations(on_meta("resnet50", 16).layer4) == [[1], [2], [2]]


def test_dilated_basic_blocks() -> None:
    model = on_meta("resnet18", 8)
    assert dilations(model.layer3) == [[1, 2], [2, 2]]
    assert dilations(model.layer4) == [[2, 4], [4, 4]]


def test_stride_is_in_the_3x3_convolution() -> None:
    block = on_meta("resnet50").layer2[0]
    assert (block.conv1.stride, block.conv2.stride, block.conv3.stride) == ((1, 1), (2, 2), (1, 1))


@pytest.mark.parametrize("dilation", [1, 2, 4])
def test_receptive_field_of_a_basic_block(dilation: int) -> None:
    block = BasicBlock(1, 1, 1, dilation, dilation).eval()
    for conv in (block.conv1, block.conv2):
        nn.init.ones_(conv.weight)
    image = torch.rand(1, 1, 33, 33, requires_grad=True)
    block(image)[0, 0, 16, 16].backward()
    seen = image.grad[0, 0].nonzero() - 16
    assert set(map(tuple, seen.tolist())) == {
        (dilation * y, dilation * x) for y in range(-2, 3) for x in range(-2, 3)
    }


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.sampled_from(OUTPUT_STRIDES), st.integers(1, 2))
def test_output_size_is_rounded_up(height: int, width: int, stride: int, batch: int) -> None:
    model = ResNet("resnet18", stride, width=0.125).eval()
    with torch.no_grad():
        features = model(torch.zeros(batch, 3, height, width))
    assert features.shape == (
        batch,
        model.out_channels,
        math.ceil(height / stride),
        math.ceil(width / stride),
    )


@pytest.mark.parametrize(
    ("width", "stem"), [(1, 64), (0.5, 32), (0.3, 16), (0.25, 16), (0.01, 8), (2, 128)]
)
def test_width_scales_all_channels(width: float, stem: int) -> None:
    with torch.device("meta"):
        model = ResNet("resnet50", width=width)
    assert model.conv1.out_channels == stem
    assert model.out_channels == 32 * stem


def test_unknown_backbone_lists_the_valid_ones() -> None:
    with pytest.raises(ValueError, match=r"resnet7'.*resnet18, resnet34, resnet50, resnet101"):
        ResNet("resnet7")


def test_wrong_output_stride() -> None:
    with pytest.raises(ValueError, match="one of 8, 16, 32, got 4"):
        ResNet("resnet18", 4)


@pytest.mark.parametrize("width", [0, -1, math.nan, math.inf])
def test_wrong_width(width: float) -> None:
    with pytest.raises(ValueError, match="width must be a positive"):
        ResNet("resnet18", width=width)
