from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from mtl_cuda.data import sgm
from mtl_cuda.data.io import read_image, read_png, require_cv2
from mtl_cuda.data.labels import CITYSCAPES_INFO
from mtl_cuda.data.sgm import Confidence, SgmSettings, match, semi_global_matching
from mtl_cuda.data.synth import generate_scene

DATA = Path(
    os.environ.get("MTL_CUDA_TEST_DATA", Path(__file__).parents[2].parent / "shared" / "data")
)


def _texture(width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Noise in blobs of a few pixels, as a camera would see it."""
    noise = np.random.default_rng(seed).standard_normal((60, width, channels))
    smooth = gaussian_filter(noise, (1.2, 1.2, 0))
    texture = np.clip(128 + 60 * smooth / smooth.std(), 0, 255).astype(np.uint8)
    return texture[..., 0] if channels == 1 else texture


def _shifted(disparity: int, channels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """A pair in which everything has one disparity."""
    wide = _texture(200 + disparity, channels)
    return wide[:, :200], wide[:, disparity:]


@pytest.mark.parametrize("mode", ["3way", "5way", "full"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_constant_shift_is_found(mode: str, channels: int) -> None:
    left, right = _shifted(9, channels)
    disparity = semi_global_matching(left, right, 32, mode=mode)
    assert disparity.shape == left.shape[:2]
    assert disparity.dtype == np.float32
    inner = disparity[:, 16:]
    assert np.isfinite(inner).mean() > 0.99
    assert np.nanpercentile(np.abs(inner - 9), 99) <= 3 / 16


def test_the_first_columns_are_filled() -> None:
    left, right = _shifted(20)
    columns = semi_global_matching(left, right, 64)[:, 20:64]
    assert np.isfinite(columns).mean() > 0.95
    assert np.nanmedian(columns) == pytest.approx(20, abs=1 / 16)


def _step() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A square of disparity 16 in front of a wall of disparity 4; also where the wall is hidden."""
    wall, square = _texture(260), _texture(200, seed=1)
    left, right = wall[:, :200].copy(), wall[:, 4:204].copy()
    left[15:45, 80:140] = square[15:45, 80:140]
    right[15:45, 64:124] = square[15:45, 80:140]
    hidden = np.zeros(left.shape[:2], bool)
    hidden[15:45, 68:80] = True  # the wall's matches, at 64..76, lie behind the square
    return left, right, hidden


def test_the_check_from_right_to_left_drops_hidden_pixels() -> None:
    left, right, hidden = _step()
    settings = {"uniqueness": 0, "speckle_size": 0, "max_gap": 0}
    loose = semi_global_matching(left, right, 32, left_right=None, **settings)
    strict = semi_global_matching(left, right, 32, left_right=1.0, **settings)
    assert np.isnan(strict[hidden]).mean() > np.isnan(loose[hidden]).mean() + 0.3
    assert np.isfinite(strict[~hidden]).mean() > 0.9
    assert not (np.isfinite(strict) & np.isnan(loose)).any()


def test_what_counts_as_disagreement() -> None:
    left = np.array([[48, 32, 32, 40, 32, -16, 32]], np.int16)  # sixteenths of a pixel
    right = np.array([[32, 32, 99, -16, 32, 32, 32]], np.int16)
    # Matches of the columns: outside, outside, 0, 1 (after rounding), 2, none, 4.
    unchecked, checked, wrong = Confidence.UNCHECKED, Confidence.CHECKED, Confidence.INVALID
    found = sgm._compare(left, right, tolerance=7)
    assert found.tolist() == [[unchecked, unchecked, checked, wrong, wrong, wrong, checked]]
    loose = sgm._compare(left, right, tolerance=67)
    assert loose.tolist() == [[unchecked, unchecked, checked, checked, checked, wrong, checked]]
    unknown = sgm._compare(left, np.full_like(right, -16), tolerance=67)
    assert unknown.tolist() == [[unchecked] * 5 + [wrong, unchecked]]


def test_confidence_tells_where_a_disparity_comes_from() -> None:
    left, right = _shifted(9)
    left = left.copy()
    left[20:40, 100:106] = 0
    settings = SgmSettings(32, speckle_size=0, max_gap=12)
    disparity, confidence = match(left, right, settings)
    bare = match(left, right, replace(settings, max_gap=0))
    assert confidence.dtype == np.uint8
    np.testing.assert_array_equal(confidence == Confidence.INVALID, np.isnan(disparity))
    filled = confidence == Confidence.FILLED
    np.testing.assert_array_equal(filled, np.isnan(bare.disparity) & np.isfinite(disparity))
    assert filled[22:38, 100:106].mean() > 0.3
    assert (confidence[:, 32:90] == Confidence.CHECKED).mean() > 0.99
    assert not (confidence[:, :8] == Confidence.CHECKED).any()  # matches outside the right view
    unchecked = match(left, right, replace(settings, left_right=None, max_gap=0))
    assert set(np.unique(unchecked.confidence)) <= {Confidence.INVALID, Confidence.UNCHECKED}


def test_gaps_are_filled_on_one_surface_only() -> None:
    left, right = _shifted(9)
    left, right = left.copy(), right.copy()
    left[20:40, 100:106] = 0  # without a match, in the middle of a surface
    settings = {"speckle_size": 0}
    holes = semi_global_matching(left, right, 32, max_gap=0, **settings)
    filled = semi_global_matching(left, right, 32, max_gap=12, **settings)
    known = np.isfinite(holes)
    assert np.isnan(holes[22:38, 100:106]).mean() > 0.3
    np.testing.assert_array_equal(filled[known], holes[known])
    assert np.nanmax(np.abs(filled[22:38, 90:116] - 9)) <= 2

    left, right, _ = _step()
    across = semi_global_matching(left, right, 32, max_gap=30)
    wall_or_square = np.minimum(np.abs(across - 4), np.abs(across - 16))[20:40, 20:]
    assert np.nanpercentile(wall_or_square, 98) < 1


def test_small_islands_are_dropped() -> None:
    left, right = _texture(200), _texture(200, seed=1)  # nothing matches
    settings = {"uniqueness": 0, "left_right": None, "max_gap": 0}
    noisy = semi_global_matching(left, right, 32, speckle_size=0, **settings)
    clean = semi_global_matching(left, right, 32, speckle_size=400, **settings)
    assert np.isfinite(clean).sum() < 0.7 * np.isfinite(noisy).sum()


def test_the_views_are_left_as_they_are() -> None:
    left, right = _shifted(5)
    copies = left.copy(), right.copy()
    semi_global_matching(left, right, 16)
    np.testing.assert_array_equal(left, copies[0])
    np.testing.assert_array_equal(right, copies[1])


@pytest.mark.parametrize(
    ("name", "value"),
    [("num_disparities", 0), ("num_disparities", 20), ("block_size", 4), ("block_size", 0),
     ("mode", "9way"), ("p1", 0), ("p2", 10), ("uniqueness", -1), ("left_right", -0.5),
     ("speckle_size", -1), ("surface_step", -1), ("max_gap", -1)],
)  # fmt: skip
def test_bad_parameters_are_named(name: str, value: object) -> None:
    left, right = _shifted(5)
    arguments = {"num_disparities": 16} | {name: value}
    with pytest.raises(ValueError, match=name):
        semi_global_matching(left, right, **arguments)  # type: ignore[arg-type]


def test_bad_views_are_named() -> None:
    left, right = _shifted(5)
    with pytest.raises(TypeError, match="right must be uint8"):
        semi_global_matching(left, right.astype(np.float32), 16)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="one shape"):
        semi_global_matching(left, right[:, :-1], 16)
    with pytest.raises(ValueError, match="left must be"):
        semi_global_matching(left[..., :2], right, 16)


def test_what_opencv_cannot_do_is_an_error_of_these_views(monkeypatch: pytest.MonkeyPatch) -> None:
    cv2 = require_cv2()

    class Matcher:
        def getNumDisparities(self) -> int:
            return 16

        def compute(self, *_: object) -> None:
            raise cv2.error("Insufficient memory:\nfailed to allocate 9999 bytes")

    monkeypatch.setattr(cv2, "StereoSGBM_create", lambda **_: Matcher())
    with pytest.raises(ValueError, match=r"cannot be matched: .*memory: failed"):
        semi_global_matching(*_shifted(5), 16)


def test_generated_scenes_can_be_matched() -> None:
    density, error = [], []
    for seed in range(6):
        scene = generate_scene((128, 256), (21, seed))
        ground = scene.semantic != CITYSCAPES_INFO.class_names.index("sky")
        limit = 16 * int(np.ceil((scene.disparity.max() + 1) / 16))
        found = semi_global_matching(scene.left, scene.right, limit)
        density.append(np.isfinite(found[ground]).mean())
        error.append(np.nanmean(np.abs(found - scene.disparity)[ground]))
    assert np.mean(density) > 0.92
    assert np.mean(error) < 0.55


def _motorcycle() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    folder = DATA / "stereo" / "motorcycle"
    with np.load(folder / "motorcycle_disp.npz") as file:
        truth = file[file.files[0]].astype(np.float32)
    left, right = (read_image(folder / f"motorcycle_{side}.png") for side in ("left", "right"))
    return left, right, np.where(np.isfinite(truth), truth, np.nan)


def _cones() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    folder = DATA / "stereo" / "cones"
    truth = read_png(folder / "disp2.png").astype(np.float32) / 4
    left, right = (read_image(folder / f"im{number}.png") for number in (2, 6))
    return left, right, np.where(truth > 0, truth, np.nan)


@pytest.mark.skipif(not (DATA / "stereo").is_dir(), reason="the Middlebury pairs are not there")
@pytest.mark.parametrize(
    ("read", "density", "error", "bad"),
    [(_motorcycle, 0.92, 0.90, 0.053), (_cones, 0.90, 0.56, 0.046)],
)
def test_middlebury(read: object, density: float, error: float, bad: float) -> None:
    left, right, truth = read()  # type: ignore[operator]
    disparity = semi_global_matching(left, right, 64)
    assert np.isfinite(disparity).mean() > density
    errors = np.abs(disparity - truth)
    assert np.nanmean(errors) < error
    assert (errors > 2).sum() / np.isfinite(errors).sum() < bad
