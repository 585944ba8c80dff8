from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mtl_cuda.data.info import DatasetInfo
from mtl_cuda.visualise import (
    colour_classes,
    colour_instances,
    colour_inverse_depth,
    colour_offsets,
    draw_instances,
    inverse_depth_limits,
    offset_scale,
    panel,
)

pytest.importorskip("cv2", reason="OpenCV is missing")

PALETTE = ((10, 20, 30), (0, 0, 142))
INFO = DatasetInfo("two", ("road", "car"), PALETTE, (1,), (7, 26), depth_unit="1/m")


def scene(height: int = 20, width: int = 40) -> tuple[np.ndarray, dict, dict]:
    generator = np.random.default_rng(0)
    image = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
    ids = np.zeros((height, width), np.int32)
    ids[5:10, 5:20] = 1
    classes = (ids > 0).astype(np.uint8)
    depth = generator.random((height, width), dtype=np.float32)
    offsets = generator.normal(0, 5, (2, height, width)).astype(np.float32)
    prediction = {"semantic": classes.astype(np.int64), "instance": offsets, "depth": depth[None]}
    return image, prediction, {"semantic": classes, "instance": ids, "depth": depth}


def test_classes_take_their_colour_and_the_rest_is_black() -> None:
    picture = colour_classes(np.array([[0, 1, 255, -1, 2]]), PALETTE)
    assert picture.dtype == np.uint8
    assert picture[0].tolist() == [list(PALETTE[0]), list(PALETTE[1])] + [[0, 0, 0]] * 3
    assert colour_classes(np.array([[1, 255]], np.uint8), PALETTE)[0, 0].tolist() == [0, 0, 142]


def test_offsets_direction_length_and_mask() -> None:
    offsets = np.zeros((2, 1, 5))
    offsets[0, 0] = [9.0, -9.0, 0.0, math.nan, 9.0]
    mask = np.array([[True, True, True, True, False]])
    right, left, none, invalid, outside = colour_offsets(offsets, mask=mask, scale=4.0)[0].tolist()
    assert right[0] == 255
    assert max(right[1:]) < 90
    assert left[0] < 20
    assert min(left[1:]) > 180
    assert none == [255, 255, 255]
    assert invalid == outside == [0, 0, 0]


def test_offset_saturation_grows_with_length_up_to_the_scale() -> None:
    offsets = np.zeros((2, 1, 4))
    offsets[0, 0] = [1.0, 2.0, 4.0, 8.0]
    blue = colour_offsets(offsets, scale=4.0)[0, :, 2].astype(int)
    assert blue[0] > blue[1] > blue[2] == blue[3]


def test_offset_scale() -> None:
    offsets = np.zeros((2, 1, 100))
    offsets[1, 0] = np.arange(100)
    assert offset_scale(offsets) == pytest.approx(94.05)
    assert offset_scale(offsets, np.arange(100)[None] < 11) == pytest.approx(9.5)
    assert offset_scale(np.full((2, 1, 3), math.nan)) == 1.0


def test_inverse_depth_is_ordered_and_invalid_is_black() -> None:
    picture = colour_inverse_depth(np.array([[0.0, 1.0, 5.0, math.nan, math.inf]]), (0.0, 1.0))
    far, near, beyond, invalid, infinite = picture[0].astype(int)
    assert near[0] > 200 > far[0]  # yellow, blue
    assert near[2] < 100 < far[2]
    assert (beyond == near).all()
    assert not invalid.any()
    assert not infinite.any()


def test_inverse_depth_limits() -> None:
    assert inverse_depth_limits(np.array([[math.nan, 2.0, 2.0]])) == (2.0, 2.0)
    assert inverse_depth_limits(np.full((1, 2), math.nan)) == (0.0, 1.0)
    assert colour_inverse_depth(np.full((1, 2), 2.0)).shape == (1, 2, 3)  # no range: no division


def test_instances_have_stable_and_distinct_colours() -> None:
    colours = colour_instances(np.arange(31, dtype=np.int32)[None])[0]
    assert not colours[0].any()
    assert len({tuple(colour) for colour in colours.tolist()}) == 31
    assert (colour_instances(np.array([[7]]))[0, 0] == colours[7]).all()


def test_instances_on_the_image_have_an_outline() -> None:
    ids = np.zeros((5, 7), np.int32)
    ids[1:4, 1:4], ids[1:4, 4:6] = 1, 2
    image = np.full((5, 7, 3), (200, 100, 0), np.uint8)
    picture, colours = draw_instances(image, ids), colour_instances(ids)
    outline = ids > 0
    outline[2, 2] = False  # the one pixel with neighbours of its own instance only
    assert (picture[outline] == colours[outline]).all()
    assert (picture[ids == 0] == 50).all()  # half of the mean
    np.testing.assert_allclose(picture[2, 2], 0.4 * 50 + 0.6 * colours[2, 2], atol=0.5)


@settings(deadline=None)
@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.just(2), st.integers(1, 4), st.integers(1, 4)),
        elements=st.floats(width=32),
    )
)
def test_any_prediction_makes_a_picture(offsets: np.ndarray) -> None:
    with np.errstate(all="ignore"):
        assert colour_offsets(offsets).dtype == np.uint8
        assert colour_inverse_depth(offsets[0]).dtype == np.uint8


def test_panel_grows_by_rows_and_columns() -> None:
    image, prediction, target = scene()
    alone = panel(image, {"semantic": prediction["semantic"]}, INFO, cell_width=80)
    full = panel(image, prediction, INFO, cell_width=80)
    true = panel(image, prediction, INFO, target, cell_width=80)
    assert alone.dtype == np.uint8
    assert full.shape[1] > 1.9 * alone.shape[1]
    assert true.shape[1] == full.shape[1]
    assert true.shape[0] > full.shape[0] + 40


def test_panel_of_one_quantity_is_one_row() -> None:
    image, prediction, target = scene()
    name = "semantic"
    picture = panel(image, {name: prediction[name]}, INFO, {name: target[name]}, cell_width=80)
    assert picture.shape[1] > 3 * 80
    assert picture.shape[0] < 2 * 80


def test_panel_contains_the_image_enlarged() -> None:
    image, prediction, _ = scene()
    picture = panel(image, prediction, INFO, cell_width=80)
    enlarged = image.repeat(2, axis=0).repeat(2, axis=1)
    windows = np.lib.stride_tricks.sliding_window_view(picture, enlarged.shape)
    assert (windows[:80, :40] == enlarged).all(axis=(3, 4, 5)).any()


def test_panel_reduces_large_images() -> None:
    image, prediction, target = scene(200, 400)
    picture = panel(image, prediction, INFO, target, cell_width=100)
    assert picture.shape[1] < 5 * 110


def test_panel_leaves_out_truth_that_is_unknown() -> None:
    image, prediction, target = scene()
    unknown = {
        "semantic": np.full_like(target["semantic"], 255),
        "instance": np.zeros_like(target["instance"]),
        "depth": np.full_like(target["depth"], np.nan),
    }
    without = panel(image, prediction, INFO, cell_width=80)
    assert (panel(image, prediction, INFO, unknown, cell_width=80) == without).all()


def test_panel_with_clusters_and_odd_predictions() -> None:
    image, prediction, target = scene()
    prediction |= {"clusters": target["instance"], "instance": np.full((2, 20, 40), np.nan)}
    prediction["semantic"] = np.full((20, 40), -1)
    five = panel(image, prediction, INFO, target, cell_width=80)
    assert five.shape[1] > 5 * 80


def test_panel_of_truth_only_and_of_nothing() -> None:
    image, _, target = scene()
    assert panel(image, {}, INFO, target, cell_width=80).shape[1] > 4 * 80
    assert panel(image, {}, INFO, cell_width=80).size


def test_bad_input() -> None:
    image, prediction, target = scene()
    with pytest.raises(ValueError, match=r"prediction\['depth'\]: .*\[20, 40\].*\[10, 40\]"):
        panel(image, prediction | {"depth": np.zeros((10, 40))}, INFO)
    with pytest.raises(ValueError, match=r"prediction\['instance'\]: .*\[2, 20, 40\]"):
        panel(image, {"instance": target["instance"]}, INFO)
    with pytest.raises(ValueError, match=r"target\['semantic'\]"):
        panel(image, prediction, INFO, {"semantic": np.zeros((1, 20, 40), np.uint8)})
    with pytest.raises(ValueError, match="unknown map 'normals'"):
        panel(image, prediction | {"normals": np.zeros((20, 40))}, INFO)
    with pytest.raises(ValueError, match="unknown map 'clusters'"):
        panel(image, prediction, INFO, {"clusters": target["instance"]})
    with pytest.raises(ValueError, match="image: "):
        panel(image.astype(np.float32), prediction, INFO)
    with pytest.raises(ValueError, match="offsets: "):
        colour_offsets(np.zeros((3, 4, 4)))
    with pytest.raises(ValueError, match=r"semantic: .*float"):
        colour_classes(np.zeros((4, 4)), PALETTE)
    with pytest.raises(ValueError, match="cell_width"):
        panel(image, prediction, INFO, cell_width=0)
