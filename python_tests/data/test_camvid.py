from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from mtl_cuda.data import CAMVID_INFO, CamVidDataset, write_png

_BESIDE = Path(__file__).parents[2].parent / "shared" / "data"
REAL = Path(os.environ.get("MTL_CUDA_TEST_DATA", _BESIDE)) / "camvid"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for folder in ("train", "trainannot", "val", "valannot"):
        (tmp_path / folder).mkdir()
    labels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    for split, count in (("train", 3), ("val", 1)):
        for number in range(count):
            image = np.full((3, 4, 3), number, np.uint8)
            write_png(tmp_path / split / f"{number}.png", image)
            write_png(tmp_path / f"{split}annot" / f"{number}.png", labels)
    return tmp_path


def test_scenes(tree: Path) -> None:
    dataset = CamVidDataset(tree, "train")
    assert len(dataset) == 3
    assert dataset.counts == {"images": 3, "labels": 3}
    assert dataset.info.num_classes == 11
    assert dataset.info.depth_unit is None
    scene = dataset.scene(2)
    assert scene.name == "2"
    assert scene.image.max() == 2
    assert scene.semantic.ravel().tolist() == [*range(11), 255]
    assert not scene.instance.any()
    assert np.isnan(scene.inverse_depth).all()
    assert CamVidDataset(tree, "val", size=(6, 8)).scene(0).size == (6, 8)


def test_image_without_annotation_is_ignored(tree: Path) -> None:
    (tree / "trainannot" / "1.png").unlink()
    dataset = CamVidDataset(tree, "train")
    assert dataset.counts == {"images": 3, "labels": 2}
    assert (dataset.scene(1).semantic == 255).all()


def test_bad_files_are_named(tree: Path) -> None:
    dataset = CamVidDataset(tree, "train")
    write_png(tree / "trainannot" / "0.png", np.full((3, 4), 12, np.uint8))
    with pytest.raises(ValueError, match=r"trainannot.0\.png: value 12"):
        dataset.scene(0)
    write_png(tree / "trainannot" / "1.png", np.zeros((3, 5), np.uint8))
    with pytest.raises(ValueError, match=r"trainannot.1\.png is 5 x 3 .*train.1\.png is 4 x 3"):
        dataset.scene(1)
    (tree / "train" / "2.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"train.2\.png"):
        dataset.scene(2)


def test_nothing_found_names_what_was_looked_for(tree: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"test.*has the folders train, trainannot, val"):
        CamVidDataset(tree, "test")
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder"):
        CamVidDataset(tree / "nowhere", "train")


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no CamVid in {REAL}; set MTL_CUDA_TEST_DATA")
@pytest.mark.parametrize(("split", "count"), [("train", 367), ("val", 101)])
def test_real_data(split: str, count: int) -> None:
    dataset = CamVidDataset(REAL, split)
    assert dataset.counts == {"images": count, "labels": count}
    pixels = np.zeros(256, np.int64)
    tops, bottoms = np.zeros(256, np.int64), np.zeros(256, np.int64)
    for index in range(0, count, 8):
        scene = dataset.scene(index)
        assert scene.size == CAMVID_INFO.image_size
        pixels += np.bincount(scene.semantic.ravel(), minlength=256)
        tops += np.bincount(scene.semantic[:90].ravel(), minlength=256)
        bottoms += np.bincount(scene.semantic[-90:].ravel(), minlength=256)
    assert set(np.flatnonzero(pixels)) == {*range(11), 255}
    names = CAMVID_INFO.class_names  # the sky is above, the road below
    assert tops[names.index("sky")] > pixels[names.index("sky")] / 2
    assert bottoms[names.index("road")] > bottoms.sum() / 2
