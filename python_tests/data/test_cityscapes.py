from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mtl_cuda.data import CityscapesDataset, layout, write_png
from mtl_cuda.data.formats import Camera, encode_disparity, write_camera

CAMERA = Camera(fx=500, fy=500, u0=8, v0=4, baseline=0.2)
SIZE = (8, 16)
NAMES = ("aachen_000000_000019", "aachen_000001_000019", "bochum_000000_000313")
DISPARITY = np.linspace(0, 60, 128, dtype=np.float32).reshape(SIZE)
DISPARITY[0, :3] = np.nan


def path_of(root: Path, part: layout.Part, name: str) -> Path:
    path = layout.part_path(root, part, "train", name.split("_")[0], name)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def instance_ids() -> np.ndarray:
    ids = np.full(SIZE, 7, np.uint16)
    ids[2:5, 3:7], ids[3:6, 9:12], ids[6:, 13:], ids[0] = 26001, 24000, 26, 23
    return ids


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Three complete samples in two cities."""
    ids = instance_ids()
    for number, name in enumerate(NAMES):
        write_png(path_of(tmp_path, layout.IMAGE, name), np.full((*SIZE, 3), 50 * number, np.uint8))
        write_png(path_of(tmp_path, layout.INSTANCE_IDS, name), ids)
        label_ids = np.where(ids >= 1000, ids // 1000, ids).astype(np.uint8)
        write_png(path_of(tmp_path, layout.LABEL_IDS, name), label_ids)
        for folder, disparity in (("disparity", DISPARITY), ("disparity_gt", DISPARITY + 1)):
            stored = encode_disparity(disparity)
            write_png(path_of(tmp_path, layout.disparity_part(folder), name), stored)
        write_camera(path_of(tmp_path, layout.CAMERA, name), CAMERA)
    return tmp_path


def test_layout_is_that_of_cityscapes(tree: Path) -> None:
    for path in (
        "leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png",
        "gtFine/train/bochum/bochum_000000_000313_gtFine_instanceIds.png",
        "gtFine/train/aachen/aachen_000001_000019_gtFine_labelIds.png",
        "disparity/train/aachen/aachen_000000_000019_disparity.png",
        "camera/train/aachen/aachen_000000_000019_camera.json",
    ):
        assert (tree / path).is_file()


def test_complete_samples(tree: Path) -> None:
    dataset = CityscapesDataset(tree, "train")
    assert len(dataset) == 3
    assert dataset.counts == {"images": 3, "labels": 3, "disparities": 3, "cameras": 3}
    assert dataset.info.depth_unit == "1/m"
    scenes = [dataset.scene(i) for i in range(3)]
    assert tuple(scene.name for scene in scenes) == NAMES
    assert [scene.image[0, 0, 0] for scene in scenes] == [0, 50, 100]
    scene, ids = scenes[1], instance_ids()
    assert scene.size == SIZE
    np.testing.assert_array_equal(scene.semantic == 13, (ids == 26) | (ids == 26001))
    np.testing.assert_array_equal(scene.instance == 1, ids == 24000)
    np.testing.assert_array_equal(scene.instance == 2, ids == 26001)
    assert scene.instance.max() == 2
    np.testing.assert_allclose(scene.inverse_depth, DISPARITY / 100, atol=1 / 25600)


def test_depth_kinds_and_sources(tree: Path) -> None:
    pixels = CityscapesDataset(tree, "train", depth="disparity")
    assert pixels.info.depth_unit == "px"
    np.testing.assert_allclose(pixels.scene(0).inverse_depth, DISPARITY, atol=1 / 512)
    exact = CityscapesDataset(tree, "train", depth="disparity", disparity="disparity_gt")
    np.testing.assert_allclose(exact.scene(0).inverse_depth, DISPARITY + 1, atol=1 / 512)
    none = CityscapesDataset(tree, "train", depth=None)
    assert none.info.depth_unit is None
    assert np.isnan(none.scene(0).inverse_depth).all()
    with pytest.raises(ValueError, match="'inverse'"):
        CityscapesDataset(tree, "train", depth="inverse")  # type: ignore[arg-type]


def test_instance_ids_alone_give_both(tree: Path) -> None:
    complete = CityscapesDataset(tree, "train").scene(0)
    path_of(tree, layout.LABEL_IDS, NAMES[0]).unlink()
    alone = CityscapesDataset(tree, "train").scene(0)
    np.testing.assert_array_equal(alone.semantic, complete.semantic)
    np.testing.assert_array_equal(alone.instance, complete.instance)


def test_label_ids_alone_give_semantics(tree: Path) -> None:
    complete = CityscapesDataset(tree, "train").scene(0)
    path_of(tree, layout.INSTANCE_IDS, NAMES[0]).unlink()
    alone = CityscapesDataset(tree, "train").scene(0)
    np.testing.assert_array_equal(alone.semantic, complete.semantic)
    assert not alone.instance.any()


def test_missing_parts_are_invalid_for_their_sample_only(tree: Path) -> None:
    path_of(tree, layout.LABEL_IDS, NAMES[0]).unlink()
    path_of(tree, layout.INSTANCE_IDS, NAMES[0]).unlink()
    path_of(tree, layout.disparity_part(), NAMES[1]).unlink()
    path_of(tree, layout.CAMERA, NAMES[2]).unlink()
    dataset = CityscapesDataset(tree, "train")
    assert dataset.counts == {"images": 3, "labels": 2, "disparities": 2, "cameras": 2}
    first, second, third = (dataset.scene(i) for i in range(3))
    assert (first.semantic == 255).all()
    assert not first.instance.any()
    assert np.isfinite(first.inverse_depth).any()
    for scene in (second, third):
        assert (scene.semantic != 255).all()
        assert np.isnan(scene.inverse_depth).all()
    pixels = CityscapesDataset(tree, "train", depth="disparity")  # needs no camera
    assert np.isfinite(pixels.scene(2).inverse_depth).any()


def test_metric_depth_without_any_camera(tree: Path) -> None:
    for name in NAMES:
        path_of(tree, layout.CAMERA, name).unlink()
    with pytest.raises(ValueError, match="depth='disparity'"):
        CityscapesDataset(tree, "train")


@pytest.mark.parametrize(("depth", "factor"), [("metric", 1), ("disparity", 0.5)])
def test_resized_when_loaded(tree: Path, depth: str, factor: float) -> None:
    whole = CityscapesDataset(tree, "train", depth=depth)  # type: ignore[arg-type]
    half = CityscapesDataset(tree, "train", depth=depth, size=(4, 8))  # type: ignore[arg-type]
    assert half.info.image_size == (4, 8)
    small = half.scene(0)
    assert small.size == (4, 8)
    nearest = whole.scene(0).inverse_depth[1::2, 1::2] * np.float32(factor)
    np.testing.assert_array_equal(small.inverse_depth, nearest)


def test_nothing_found_names_what_was_looked_for(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"leftImg8bit/vall/.*has the folders train"):
        CityscapesDataset(tree, "vall")
    with pytest.raises(FileNotFoundError, match=r"nowhere/leftImg8bit is not a folder"):
        CityscapesDataset(tmp_path / "nowhere", "train")
    (tree / "leftImg8bit" / "test" / "berlin").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=r"leftImg8bit/test/\*/\*_leftImg8bit.png"):
        CityscapesDataset(tree, "test")


def test_sizes_that_disagree_name_both_files(tree: Path) -> None:
    dataset = CityscapesDataset(tree, "train")
    path = path_of(tree, layout.INSTANCE_IDS, NAMES[0])
    write_png(path, np.full((8, 15), 7, np.uint16))
    message = r"0019_gtFine_instanceIds\.png is 15 x 8 .*0019_leftImg8bit\.png is 16 x 8"
    with pytest.raises(ValueError, match=message):
        dataset.scene(0)
    path = path_of(tree, layout.disparity_part(), NAMES[1])
    write_png(path, np.ones((4, 8), np.uint16))
    with pytest.raises(ValueError, match=r"_disparity\.png is 8 x 4 .*_leftImg8bit\.png is 16 x 8"):
        dataset.scene(1)


def test_bad_files_are_named(tree: Path) -> None:
    dataset = CityscapesDataset(tree, "train")
    write_png(path_of(tree, layout.INSTANCE_IDS, NAMES[0]), np.full(SIZE, 200, np.uint16))
    with pytest.raises(ValueError, match=r"instanceIds\.png: value 200"):
        dataset.scene(0)
    write_png(path_of(tree, layout.disparity_part(), NAMES[1]), np.ones(SIZE, np.uint8))
    with pytest.raises(ValueError, match=r"_disparity\.png: .*16 bits"):
        dataset.scene(1)
    image = path_of(tree, layout.IMAGE, NAMES[2])
    image.write_bytes(image.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"bochum.*_leftImg8bit\.png: damaged"):
        dataset.scene(2)
    image.unlink()
    with pytest.raises(FileNotFoundError, match=r"bochum.*_leftImg8bit\.png"):
        dataset.scene(2)
    with pytest.raises(IndexError):
        dataset.scene(3)
