from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mtl_cuda.data import (
    EvalTransform,
    Scene,
    TrainTransform,
    colour_jitter,
    crop,
    horizontal_flip,
    resize,
)
from mtl_cuda.data.transforms import PADDING_COLOUR, resize_image

SIDES = st.integers(1, 12)
SIZES = st.tuples(SIDES, SIDES)
quick = settings(deadline=None, max_examples=60)


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """Any scene: pixel soup, with every kind of invalid value."""
    size = draw(SIZES)
    ids = draw(hnp.arrays(np.int32, size, elements=st.integers(0, 5)))
    depths = st.one_of(st.just(np.nan), st.just(0.0), st.floats(0, 100, width=32))
    return Scene(
        draw(hnp.arrays(np.uint8, (*size, 3))),
        draw(hnp.arrays(np.uint8, size, elements=st.sampled_from([0, 7, 18, 255]))),
        np.searchsorted(np.union1d(ids, [0]), ids).astype(np.int32),
        draw(hnp.arrays(np.float32, size, elements=depths)),
        "soup",
    )


@st.composite
def street(draw: st.DrawFn) -> Scene:
    """A few rectangles on a plain ground, with colours and depths that tell them apart."""
    height, width = draw(st.integers(24, 60)), draw(st.integers(24, 60))
    count = draw(st.integers(1, 4))
    ids = np.zeros((height, width), np.int32)
    for number in range(1, count + 1):
        top, left = draw(st.integers(0, height - 10)), draw(st.integers(0, width - 10))
        tall, wide = draw(st.integers(6, 30)), draw(st.integers(6, 30))
        ids[top : top + tall, left : left + wide] = number
    instance = np.searchsorted(np.unique(np.append(ids, 0)), ids).astype(np.int32)
    image = np.repeat(40 * instance[..., None], 3, axis=2).astype(np.uint8)
    depth = np.where(instance == 0, 0, 1 / (1 + instance)).astype(np.float32)
    return Scene(image, (10 + instance).astype(np.uint8), instance, depth, "street")


def offsets(instance: np.ndarray) -> np.ndarray:
    """Vectors [2, H, W] (x, y) from each pixel to the centroid of its instance; 0 elsewhere."""
    vectors = np.zeros((2, *instance.shape))
    for number in range(1, instance.max() + 1):
        y, x = np.nonzero(instance == number)
        vectors[0, y, x], vectors[1, y, x] = x.mean() - x, y.mean() - y
    return vectors


def assert_same(a: Scene, b: Scene) -> None:
    for field in ("image", "semantic", "instance", "inverse_depth"):
        np.testing.assert_array_equal(getattr(a, field), getattr(b, field), field)


@quick
@given(scenes())
def test_flip_mirrors_every_map_and_negates_x_offsets(scene: Scene) -> None:
    flipped = horizontal_flip(scene)
    np.testing.assert_array_equal(flipped.image, scene.image[:, ::-1])
    np.testing.assert_array_equal(flipped.semantic, scene.semantic[:, ::-1])
    np.testing.assert_array_equal(flipped.inverse_depth, scene.inverse_depth[:, ::-1])
    before, after = offsets(scene.instance)[:, :, ::-1], offsets(flipped.instance)
    np.testing.assert_allclose(after[0], -before[0], atol=1e-9)
    np.testing.assert_allclose(after[1], before[1], atol=1e-9)
    assert_same(horizontal_flip(flipped), scene)


@quick
@given(scenes(), st.integers(1, 4))
def test_growing_by_a_whole_factor_scales_offsets(scene: Scene, factor: int) -> None:
    height, width = scene.size
    large = resize(scene, (factor * height, factor * width), depth_unit="1/m")
    block = np.ones((factor, factor))
    np.testing.assert_array_equal(large.instance, np.kron(scene.instance, block))
    np.testing.assert_array_equal(large.semantic, np.kron(scene.semantic, block))
    # A pixel's centre is at most (factor - 1) / 2 from that of the block that it was.
    error = offsets(large.instance) - np.kron(factor * offsets(scene.instance), block)
    assert np.abs(error).max() <= (factor - 1) / 2 + 1e-9


@quick
@given(st.data(), st.floats(0.5, 2.0))
def test_any_resize_scales_votes_up_to_half_a_pixel(data: st.DataObject, factor: float) -> None:
    height, width = data.draw(st.tuples(st.integers(8, 60), st.integers(8, 60)))
    top, left = data.draw(st.integers(0, height - 4)), data.draw(st.integers(0, width - 4))
    tall, wide = data.draw(st.integers(4, height)), data.draw(st.integers(4, width))
    instance = np.zeros((height, width), np.int32)
    instance[top : top + tall, left : left + wide] = 1
    image = np.zeros((height, width, 3), np.uint8)
    scene = Scene.from_parts(image, "box", instance=instance)
    resized = resize(scene, (round(factor * height), round(factor * width)), depth_unit=None)
    for axis, (before, after) in enumerate(zip(scene.size, resized.size)):
        centroid = np.indices(scene.size)[axis][instance == 1].mean()
        # A pixel's centre is at a half-integer, so position p becomes s (p + 1/2) - 1/2.
        expected = after / before * (centroid + 0.5) - 0.5
        votes = np.indices(resized.size)[axis] + offsets(resized.instance)[1 - axis]
        votes = votes[resized.instance == 1]
        assert votes.size
        assert np.abs(votes - expected).max() <= 0.5 + 1e-3


@quick
@given(scenes(), SIZES, st.sampled_from(["1/m", "px", None]))
def test_resize_invents_no_label(scene: Scene, size: tuple[int, int], unit: str | None) -> None:
    resized = resize(scene, size, depth_unit=unit)
    assert resized.size == size
    assert set(np.unique(resized.semantic)) <= set(np.unique(scene.semantic))
    ratio = np.float32(size[1] / scene.size[1]) if unit == "px" else np.float32(1)
    depths, expected = resized.inverse_depth, scene.inverse_depth * ratio
    assert np.isin(depths[~np.isnan(depths)], expected).all()
    assert np.isfinite(expected).any() or np.isnan(depths).all()
    assert set(np.unique(resized.instance)) | {0} == set(range(resized.instance.max() + 1))


def test_resize_averages_the_image_and_takes_the_nearest_label() -> None:
    values = np.array([[0, 100], [200, 40]], np.uint8)
    depth = np.array([[np.nan, 1], [0, 3]], np.float32)
    scene = Scene(
        np.repeat(values[..., None], 3, 2), values, np.array([[0, 1], [2, 3]], np.int32), depth, "a"
    )
    small = resize(scene, (1, 1), depth_unit="px")
    assert small.image.tolist() == [[[85, 85, 85]]]
    assert small.semantic.tolist() == [[40]]
    assert small.instance.tolist() == [[1]]  # renumbered: the only one left
    assert small.inverse_depth.tolist() == [[1.5]]


@pytest.mark.parametrize(("unit", "value"), [("px", 12), ("1/m", 8), (None, 8)])
def test_resize_multiplies_disparity_in_pixels_by_the_width(unit: str | None, value: float) -> None:
    depth = np.full((4, 6), 8, np.float32)
    scene = Scene.from_parts(np.zeros((4, 6, 3), np.uint8), "a", inverse_depth=depth)
    assert (resize(scene, (2, 9), depth_unit=unit).inverse_depth == value).all()


@quick
@given(scenes(), st.integers(-14, 14), st.integers(-14, 14), SIZES)
def test_crop(scene: Scene, top: int, left: int, size: tuple[int, int]) -> None:
    height, width = scene.size
    if top >= height or left >= width or top + size[0] <= 0 or left + size[1] <= 0:
        with pytest.raises(ValueError, match="misses the scene"):
            crop(scene, top, left, size)
        return
    cropped = crop(scene, top, left, size)
    assert cropped.size == size
    ids: dict[int, int] = {}
    for row, column in np.ndindex(size):
        y, x = row + top, column + left
        if 0 <= y < height and 0 <= x < width:
            assert (cropped.image[row, column] == scene.image[y, x]).all()
            assert cropped.semantic[row, column] == scene.semantic[y, x]
            found, expected = cropped.inverse_depth[row, column], scene.inverse_depth[y, x]
            assert found == expected or (np.isnan(found) and np.isnan(expected))
            new, old = int(cropped.instance[row, column]), int(scene.instance[y, x])
            assert ids.setdefault(old, new) == new
        else:
            assert tuple(cropped.image[row, column]) == PADDING_COLOUR
            assert cropped.semantic[row, column] == 255
            assert cropped.instance[row, column] == 0
            assert np.isnan(cropped.inverse_depth[row, column])
    assert ids.pop(0, 0) == 0
    assert sorted(ids.values()) == list(range(1, len(ids) + 1))


@quick
@given(scenes())
def test_colour_jitter_of_one_changes_nothing(scene: Scene) -> None:
    assert_same(colour_jitter(scene), scene)


def test_colour_jitter() -> None:
    image = np.array([[[100, 100, 100], [200, 100, 0]]], np.uint8)
    scene = Scene.from_parts(image, "a")
    bright = colour_jitter(scene, brightness=1.5).image
    assert bright.tolist() == [[[150, 150, 150], [255, 150, 0]]]
    grey = colour_jitter(scene, saturation=0).image
    assert grey.tolist() == [[[100, 100, 100], [118, 118, 118]]]  # 0.299 * 200 + 0.587 * 100
    flat = colour_jitter(scene, contrast=0).image
    assert (flat == 109).all()  # the mean of both greys
    dim = colour_jitter(scene, contrast=0, brightness=0.5).image
    assert (dim == 55).all()
    labels = colour_jitter(scene, brightness=0.5)
    assert labels.semantic is scene.semantic
    for factor in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="contrast"):
            colour_jitter(scene, contrast=factor)


@quick
@given(street(), st.integers(0, 1000), SIZES)
def test_train_transform_moves_all_maps_together(
    scene: Scene, seed: int, size: tuple[int, int]
) -> None:
    size = (4 * size[0], 4 * size[1])
    transform = TrainTransform(size, "1/m", jitter=0)
    out = transform(scene, np.random.default_rng(seed))
    assert out.size == size
    inside = out.semantic != 255
    # In a street every map is a function of the semantics; only instances are renumbered.
    np.testing.assert_array_equal(np.isnan(out.inverse_depth), ~inside)
    number = out.semantic[inside].astype(np.float32) - 10
    depth = np.where(number == 0, 0, 1 / (1 + number)).astype(np.float32)
    np.testing.assert_array_equal(out.inverse_depth[inside], depth)
    np.testing.assert_array_equal(out.instance[inside] == 0, number == 0)
    # The image is smoothed, but where it is flat its colour is that of the label.
    for label in np.unique(out.semantic[inside]):
        region = np.pad(out.semantic == label, 2)
        core = np.lib.stride_tricks.sliding_window_view(region, (5, 5)).all(axis=(2, 3))
        assert (out.image[core] == 40 * (label - 10)).all()


def test_train_transform_scales_disparity_in_pixels() -> None:
    depth = np.full((40, 40), 8, np.float32)
    scene = Scene.from_parts(np.zeros((40, 40, 3), np.uint8), "a", inverse_depth=depth)
    for unit, value in (("px", 16), ("1/m", 8)):
        transform = TrainTransform((20, 20), unit, scale_range=(2, 2))
        out = transform(scene, np.random.default_rng(0))
        assert (out.inverse_depth == value).all()


def test_train_transform_covers_its_ranges() -> None:
    ramp = np.tile(np.arange(96, dtype=np.float32), (96, 1))
    scene = Scene.from_parts(np.zeros((96, 96, 3), np.uint8), "a", inverse_depth=ramp)
    transform = TrainTransform((16, 16), "1/m")
    steps = []
    for seed in range(300):
        row = transform(scene, np.random.default_rng(seed)).inverse_depth[8]
        steps.append((row[15] - row[0]) / 15)
    factors = 1 / np.abs(steps)
    assert 0.48 < factors.min() < 0.53
    assert 1.9 < factors.max() < 2.2
    assert 0.4 < (factors < 1).mean() < 0.6
    assert 0.4 < (np.array(steps) < 0).mean() < 0.6


def test_train_transform_uses_nothing_but_its_generator() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 30, 3), np.uint8)
    scene, transform = Scene.from_parts(pixels, "a"), TrainTransform((20, 20), None)
    first, again, other = (transform(scene, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert_same(first, again)
    assert (first.image != other.image).any()


def test_eval_transform() -> None:
    scene = Scene.from_parts(np.zeros((4, 6, 3), np.uint8), "a")
    assert EvalTransform()(scene) is scene
    assert EvalTransform((2, 3), "1/m")(scene, np.random.default_rng(0)).size == (2, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crop_size": (0, 5)}, "crop_size"),
        ({"depth_unit": "m"}, "depth_unit"),
        ({"scale_range": (0, 2)}, "scale_range"),
        ({"scale_range": (2, 1)}, "scale_range"),
        ({"flip_probability": 1.5}, "flip_probability"),
        ({"jitter": -0.1}, "jitter"),
    ],
)
def test_impossible_parameters(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainTransform(**({"crop_size": (5, 5), "depth_unit": None} | changes))


def test_impossible_sizes() -> None:
    scene = Scene.from_parts(np.zeros((4, 6, 3), np.uint8), "a")
    with pytest.raises(ValueError, match=r"size.*\(0, 2\)"):
        resize(scene, (0, 2), depth_unit=None)
    with pytest.raises(ValueError, match="size"):
        crop(scene, 0, 0, (2, -1))
    with pytest.raises(ValueError, match="size"):
        EvalTransform((0, 1))


def test_scene_checks_its_maps() -> None:
    image = np.zeros((2, 3, 3), np.uint8)
    with pytest.raises(ValueError, match=r"semantic.*\(2, 3\).*\(3, 2\)"):
        Scene.from_parts(image, "a", semantic=np.zeros((3, 2), np.uint8))
    with pytest.raises(TypeError, match=r"instance.*int32.*int64"):
        Scene.from_parts(image, "a", instance=np.zeros((2, 3), np.int64))
    with pytest.raises(TypeError, match=r"inverse_depth.*list"):
        Scene.from_parts(image, "a", inverse_depth=[[0.0]])  # type: ignore[arg-type]
    for shape in [(2, 3), (2, 3, 4), (0, 3, 3)]:
        with pytest.raises(ValueError, match="image"):
            Scene.from_parts(np.zeros(shape, np.uint8), "a")


def test_shrinking_averages_over_areas() -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
    means = image.reshape(2, 4, 3, 4, 3).mean((1, 3))
    np.testing.assert_allclose(resize_image(image, (2, 3)), means, atol=0.5)
