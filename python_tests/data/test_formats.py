from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mtl_cuda.data import formats
from mtl_cuda.data.formats import Camera
from mtl_cuda.data.info import DatasetInfo
from mtl_cuda.data.labels import CITYSCAPES_INFO, LABELS

CAMERA = Camera(2262.52, 2265.3, 1096.98, 513.137, 0.209313, pitch=0.038, z=1.22)


def test_every_stored_disparity_round_trips() -> None:
    stored = np.arange(2**16, dtype=np.uint16).reshape(256, 256)
    disparity = formats.decode_disparity(stored)
    assert disparity.dtype == np.float32
    assert np.isnan(disparity[0, 0])
    assert disparity[0, 1] == 0
    assert disparity[0, 2] == 1 / 256
    assert np.nanmax(disparity) == formats.MAX_DISPARITY
    assert np.isnan(disparity).sum() == 1
    np.testing.assert_array_equal(formats.encode_disparity(disparity), stored)


@given(
    hnp.arrays(
        np.float32,
        (3, 4),
        elements=st.one_of(st.just(np.nan), st.floats(0, formats.MAX_DISPARITY, width=32)),
    )
)
def test_disparity_is_rounded_to_the_nearest_step(disparity: np.ndarray) -> None:
    stored = formats.encode_disparity(disparity)
    assert stored.dtype == np.uint16
    np.testing.assert_array_equal(stored == 0, np.isnan(disparity))
    np.testing.assert_allclose(formats.decode_disparity(stored), disparity, rtol=0, atol=1 / 512)


@pytest.mark.parametrize("value", [256.0, -1.0, np.inf, -np.inf])
def test_impossible_disparity(value: float) -> None:
    disparity = np.zeros((2, 3), np.float32)
    disparity[1, 2] = value
    with pytest.raises(ValueError, match=rf"disparity.*{value}.*\(1, 2\)"):
        formats.encode_disparity(disparity)


def test_stored_disparity_must_be_uint16() -> None:
    with pytest.raises(TypeError, match="uint8"):
        formats.decode_disparity(np.zeros((2, 2), np.uint8))


def test_inverse_depth_keeps_zero_and_nan() -> None:
    disparity = np.array([[0, np.nan, 47.357]], np.float32)
    inverse_depth = formats.inverse_depth_from_disparity(disparity, CAMERA)
    assert inverse_depth.dtype == np.float32
    expected = [[0, np.nan, 47.357 / (2262.52 * 0.209313)]]  # about 10 m away
    np.testing.assert_allclose(inverse_depth, expected, rtol=1e-6)


positive = st.floats(1e-3, 1e5)
anything = st.floats(-1e5, 1e5)


@given(st.tuples(positive, positive, anything, anything, positive, *[anything] * 6))
def test_camera_round_trips(tmp_path_factory: pytest.TempPathFactory, values: tuple) -> None:
    path = tmp_path_factory.mktemp("camera") / "camera.json"
    formats.write_camera(path, Camera(*values))
    assert formats.read_camera(path) == Camera(*values)


def test_camera_file_has_the_layout_of_cityscapes(tmp_path: Path) -> None:
    formats.write_camera(tmp_path / "c.json", CAMERA)
    content = json.loads((tmp_path / "c.json").read_text())
    assert set(content["intrinsic"]) == {"fx", "fy", "u0", "v0"}
    assert set(content["extrinsic"]) == {"baseline", "pitch", "roll", "x", "y", "yaw", "z"}
    assert content["extrinsic"]["baseline"] == CAMERA.baseline


@pytest.mark.parametrize(
    ("section", "name", "value", "message"),
    [
        ("intrinsic", "fx", None, "lacks 'fx'"),
        ("extrinsic", "baseline", 0.0, "baseline must be positive"),
        ("intrinsic", "u0", float("nan"), "u0 must be finite"),
        ("extrinsic", "pitch", "steep", "not a Cityscapes camera file"),
    ],
)
def test_bad_camera_file(
    tmp_path: Path, section: str, name: str, value: object, message: str
) -> None:
    path = tmp_path / "c.json"
    formats.write_camera(path, CAMERA)
    content = json.loads(path.read_text())
    content[section][name] = value
    if value is None:
        del content[section][name]
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=rf"c\.json.*{message}"):
        formats.read_camera(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "\xff", '{"intrinsic": 3}'])
def test_camera_file_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"c\.json"):
        formats.read_camera(tmp_path / "c.json")


def test_instance_ids_of_stuff_groups_and_things() -> None:
    #       road, car group, car 0, car 3, person 0, caravan 1 and its group, unlabeled
    ids = np.array([[7, 26, 26000, 26003, 24000, 29001, 29, 0]], np.uint16)
    semantic, instance = formats.split_instance_ids(ids)
    assert semantic.dtype == np.uint8
    assert instance.dtype == np.int32
    assert semantic.tolist() == [[0, 13, 13, 13, 11, 255, 255, 255]]
    assert instance.tolist() == [[0, 0, 2, 3, 1, 0, 0, 0]]


def test_label_ids_are_instance_ids_without_instances() -> None:
    ids = np.arange(34, dtype=np.uint8)[None]
    semantic, instance = formats.split_instance_ids(ids)
    assert semantic[0].tolist() == [label.train_id for label in LABELS]
    assert not instance.any()


@pytest.mark.parametrize("value", [34, 255, 999, 7000, 34000, 65535])
def test_values_that_are_no_ids(value: int) -> None:
    with pytest.raises(ValueError, match=f"value {value} "):
        formats.split_instance_ids(np.array([[7, value]], np.uint16))


def test_ids_of_another_dtype() -> None:
    with pytest.raises(TypeError, match="int32"):
        formats.split_instance_ids(np.zeros((2, 2), np.int32))  # type: ignore[arg-type]


things = st.sampled_from(CITYSCAPES_INFO.thing_classes)


@given(
    classes=st.lists(things, max_size=6),
    pixels=hnp.arrays(np.int32, (5, 7), elements=st.integers(0, 6)),
    background=hnp.arrays(np.uint8, (5, 7), elements=st.sampled_from([*range(19), 255])),
)
def test_instances_round_trip(
    classes: list[int], pixels: np.ndarray, background: np.ndarray
) -> None:
    instance = np.where(pixels <= len(classes), pixels, 0).astype(np.int32)
    semantic = background.copy()
    for number, train_id in enumerate(classes, start=1):
        semantic[instance == number] = train_id
    joined = formats.join_instance_ids(semantic, instance)
    semantic_back, instance_back = formats.split_instance_ids(joined)
    np.testing.assert_array_equal(semantic_back, semantic)
    np.testing.assert_array_equal(instance_back > 0, instance > 0)
    pairs = set(zip(instance[instance > 0].tolist(), instance_back[instance > 0].tolist()))
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
    np.testing.assert_array_equal(formats.join_instance_ids(semantic_back, instance_back), joined)


@pytest.mark.parametrize(
    ("semantic", "instance", "message"),
    [
        ([[13, 11]], [[1, 1]], "several classes"),
        ([[0, 13]], [[1, 2]], "instance 1: class road"),
        ([[255, 13]], [[1, 2]], "instance 1: class unlabeled"),
        ([[19, 13]], [[0, 0]], "19 is no Cityscapes trainId"),
        ([[13]], [[1, 1]], r"\(1, 1\).*\(1, 2\)"),
    ],
)
def test_instances_that_cannot_be_joined(
    semantic: list[list[int]], instance: list[list[int]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        formats.join_instance_ids(np.array(semantic, np.uint8), np.array(instance, np.int32))


def test_more_instances_than_a_file_can_hold() -> None:
    instance = np.arange(1, 1002, dtype=np.int32)[None]
    semantic = np.full(instance.shape, 13, np.uint8)
    assert formats.join_instance_ids(semantic[:, :1000], instance[:, :1000]).max() == 26999
    with pytest.raises(ValueError, match="instance 1001"):
        formats.join_instance_ids(semantic, instance)


def test_cityscapes_classes() -> None:
    info = CITYSCAPES_INFO
    assert info.num_classes == 19
    assert info.class_names[0] == "road"
    assert info.class_names[18] == "bicycle"
    assert info.thing_classes == tuple(range(11, 19))
    assert info.label_ids == (7, 8, 11, 12, 13, 17, *range(19, 29), 31, 32, 33)
    assert [label.id for label in LABELS] == list(range(34))


def test_info_that_contradicts_itself() -> None:
    colours = ((0, 0, 0), (1, 1, 1))
    with pytest.raises(ValueError, match="palette has 1 entries for 2"):
        DatasetInfo("a", ("x", "y"), colours[:1], label_ids=(0, 1))
    with pytest.raises(ValueError, match="thing_classes"):
        DatasetInfo("a", ("x", "y"), colours, thing_classes=(2,), label_ids=(0, 1))
    with pytest.raises(ValueError, match="depth_unit"):
        DatasetInfo("a", ("x", "y"), colours, label_ids=(0, 1), depth_unit="m")
