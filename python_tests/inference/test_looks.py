"""Windows, scales, mirrors and precisions against what they mean."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from mtl_cuda.data import Scene, normalise, resize, transforms
from mtl_cuda.inference.options import PredictOptions
from mtl_cuda.inference.passes import forward, predict_looks, prepare, upsampled
from mtl_cuda.inference.windows import blend_windows, tent, window_starts

CPU = torch.device("cpu")
SIZE = (24, 40)


class Pointwise(nn.Module):
    """Looks at each pixel alone, at full resolution; vectors and disparity are in pixels."""

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        red, green, blue = images.unbind(1)
        return {
            "semantic": torch.stack([red, green, blue], dim=1),
            "instance": torch.stack([red, green], dim=1) * 3,
            "depth": blue[:, None] * 2,
        }


def picture(seed: int = 0, size: tuple[int, int] = SIZE) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def looked(options: PredictOptions, unit: str = "px", network: nn.Module | None = None) -> Any:
    prepared = prepare([picture(0), picture(1)], SIZE, options.scales, CPU)
    return predict_looks(network or Pointwise(), prepared, SIZE, unit, options)


@pytest.mark.parametrize("window", [(8, 16), (24, 40), (7, 11), (100, 9)])
@pytest.mark.parametrize("batch", [1, 3])
def test_windows_change_nothing_for_a_network_that_looks_at_pixels(
    window: tuple[int, int], batch: int
) -> None:
    whole = looked(PredictOptions())
    blended = looked(PredictOptions(window=window, batch=batch))
    expected = whole["semantic"].softmax(dim=1)
    torch.testing.assert_close(blended["semantic"].exp(), expected, atol=1e-6, rtol=1e-5)
    for task in ("instance", "depth"):
        torch.testing.assert_close(blended[task], whole[task], atol=1e-5, rtol=1e-5)


def test_the_middle_of_a_window_counts_most() -> None:
    images = torch.zeros(1, 3, 1, 12)
    calls = iter([torch.tensor(1.0), torch.tensor(2.0)])

    def predict(seen: Tensor) -> dict[str, Tensor]:
        return {"depth": next(calls).expand(len(seen), 1, *seen.shape[-2:])}

    values = blend_windows(predict, images, (1, 8), 0.5, 1)["depth"].flatten()
    a, b = tent(8)[4:], tent(8)[:4]
    expected = torch.cat([torch.ones(4), (a + 2 * b) / (a + b), torch.full((4,), 2.0)])
    torch.testing.assert_close(values, expected)


@given(st.integers(1, 60), st.integers(1, 60), st.floats(0, 0.99))
def test_windows_cover_all_and_overlap(length: int, window: int, overlap: float) -> None:
    if window > length:
        with pytest.raises(ValueError, match="window"):
            window_starts(length, window, overlap)
        return
    starts = window_starts(length, window, overlap)
    assert starts[0] == 0
    assert starts[-1] == length - window
    for here, there in itertools.pairwise(starts):
        assert 0 < there - here <= max(1, int(window * (1 - overlap)))


def test_scales_are_averaged_in_the_units_of_the_image() -> None:
    scales, network = (0.5, 1.0, 1.25), Pointwise()
    maps = looked(PredictOptions(scales=scales), "px", network)
    sums: dict[str, Any] = {"semantic": 0, "instance": 0, "depth": 0}
    for scale, images in prepare([picture(0), picture(1)], SIZE, scales, CPU).items():
        assert images.shape[-2:] == (round(24 * scale), round(40 * scale))
        seen = network(images)
        sums["semantic"] += upsampled(seen["semantic"].softmax(dim=1), SIZE)
        sums["instance"] += upsampled(seen["instance"], SIZE) / scale
        sums["depth"] += upsampled(seen["depth"], SIZE) / scale
    torch.testing.assert_close(maps["semantic"].exp(), sums["semantic"] / 3, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(maps["instance"], sums["instance"] / 3, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(maps["depth"], sums["depth"] / 3, atol=1e-5, rtol=1e-5)


def test_inverse_depth_in_metres_does_not_scale() -> None:
    class Far(nn.Module):
        def forward(self, images: Tensor) -> dict[str, Tensor]:
            return {"depth": torch.full((len(images), 1, 4, 4), 0.25)}

    options = PredictOptions(scales=(0.5, 1.0))
    assert torch.allclose(looked(options, "1/m", Far())["depth"], torch.tensor(0.25))
    assert torch.allclose(looked(options, "px", Far())["depth"], torch.tensor(0.375))


def test_mirrors_are_turned_back() -> None:
    """A network whose vectors depend on the place alone gives the mean of both."""

    class Places(nn.Module):
        def forward(self, images: Tensor) -> dict[str, Tensor]:
            x = torch.arange(images.shape[-1], dtype=torch.float32)
            row = x.expand(len(images), 1, images.shape[-2], -1)
            return {"instance": torch.cat([row, row], dim=1)}

    vectors = looked(PredictOptions(flip=True), network=Places())["instance"]
    x = torch.arange(40.0)
    torch.testing.assert_close(vectors[0, 0, 0], (x - x.flip(0)) / 2)
    torch.testing.assert_close(vectors[0, 1, 0], (x + x.flip(0)) / 2)
    plain, both = looked(PredictOptions()), looked(PredictOptions(flip=True))
    torch.testing.assert_close(both["semantic"].exp(), plain["semantic"].softmax(dim=1))
    assert (both["instance"][:, 0].abs() < 1e-5).all()  # x points against its mirror image
    torch.testing.assert_close(both["instance"][:, 1], plain["instance"][:, 1])


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_is_near_and_comes_back_in_float32(precision: str) -> None:
    torch.manual_seed(0)

    class Small(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, 4, 3, padding=1)

        def forward(self, images: Tensor) -> dict[str, Tensor]:
            values = self.layer(images)
            self.seen = values.dtype
            return {"semantic": values}

    network, images = Small(), torch.randn(2, 3, 8, 8)
    half = forward(network, images, precision)["semantic"]
    assert network.seen == getattr(torch, precision)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, network(images)["semantic"], atol=0.03, rtol=0.03)


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": (0, 4)},
        {"window": (4,)},
        {"overlap": 1.0},
        {"scales": ()},
        {"scales": (0.0,)},
        {"scales": (float("nan"),)},
        {"precision": "float8"},
        {"batch": 0},
    ],
)
def test_impossible_options_are_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))}: "):
        replace(PredictOptions(), **wrong)


@pytest.mark.parametrize("size", [SIZE, (12, 60), (48, 80)])
def test_a_picture_is_prepared_as_scenes_are(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene.from_parts(picture(), "picture")
    expected = normalise(resize(scene, size, depth_unit=None).image)
    monkeypatch.setattr(transforms, "resize_map", None)  # it has no maps to resize
    assert torch.equal(prepare([picture()], size, [1.0], CPU)[1.0][0], expected)
