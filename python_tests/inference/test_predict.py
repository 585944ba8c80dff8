from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mtl_cuda.data import CAMVID_INFO, CITYSCAPES_INFO, read_png, write_png
from mtl_cuda.engine.config import DataConfig, TrainConfig
from mtl_cuda.engine.segments import InstanceConfig
from mtl_cuda.inference.inputs import find_inputs
from mtl_cuda.inference.model import SceneModel
from mtl_cuda.inference.restore import Restored
from mtl_cuda.inference.scene import predict_image
from mtl_cuda.inference.writers import file_ids, write_result

CPU = torch.device("cpu")


class Constant(nn.Module):
    """Predicts class 1, the vector (2, 3) and depth 5 at half the size it sees."""

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        self.seen = tuple(images.shape)
        batch, _, height, width = images.shape
        ones = torch.ones(batch, 1, height // 2, width // 2)
        return {
            "semantic": torch.cat([0 * ones, ones], dim=1),
            "instance": torch.cat([2 * ones, 3 * ones], dim=1),
            "depth": 5 * ones,
        }


@pytest.mark.parametrize(("unit", "depth"), [("1/m", 5.0), ("px", 20.0)])
def test_results_have_the_size_and_units_of_the_image(unit: str, depth: float) -> None:
    network, image = Constant(), np.zeros((16, 32, 3), np.uint8)
    info = replace(CITYSCAPES_INFO, depth_unit=unit)
    maps = predict_image(network, image, info, (8, 8), CPU)
    assert network.seen == (1, 3, 8, 8)
    assert np.array_equal(maps["semantic"], np.ones((16, 32)))
    assert maps["instance"].shape == (2, 16, 32)
    assert np.allclose(maps["instance"][0], 2 * 4)
    assert np.allclose(maps["instance"][1], 3 * 2)
    assert maps["depth"].shape == (16, 32)
    assert np.allclose(maps["depth"], depth)


def test_instance_files(tmp_path: Path) -> None:
    class Cars(nn.Module):
        """Two cars at half the size it sees."""

        def forward(self, images: Tensor) -> dict[str, Tensor]:
            batch, _, height, width = images.shape
            logits = torch.zeros(batch, 19, height // 2, width // 2)
            logits[:, 0] = 5
            logits[:, 13, 1:7, 2:6] = logits[:, 13, 1:7, 10:14] = 99
            offsets = torch.zeros(batch, 2, height // 2, width // 2)
            x = torch.arange(width // 2) * 2 + 0.5
            offsets[:, 0] = torch.where(x < 16, 8.0, 24.0) - x
            offsets[:, 1] = 7.5 - torch.arange(height // 2)[:, None] * 2 - 0.5
            return {"semantic": logits, "instance": offsets}

    config = TrainConfig(DataConfig(root="", size=(16, 32)), instances=InstanceConfig(eps=2.0))
    network = Cars().eval()
    restored = Restored(network, config, CITYSCAPES_INFO, 1, CPU)  # type: ignore[arg-type]
    write_png(tmp_path / "a.b.png", np.zeros((32, 64, 3), np.uint8))  # twice the size it sees
    result = SceneModel(restored).predict(tmp_path / "a.b.png")
    assert (result.name, result.inverse_depth, result.depth_unit) == ("a.b", None, None)
    write_result(result, tmp_path, ["instances", "depth"])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.b.png",
        "a.b_instances.json",
        "a.b_instances.png",
    ]
    assert result.instances is not None
    assert result.panoptic is not None
    assert set(result.panoptic.classes) == {0, 13}
    edges = (result.overlay() == 255).all(axis=2)  # white outlines, on the instances alone
    assert edges.any()
    assert (result.instances.ids[edges] > 0).all()
    ids = read_png(tmp_path / "a.b_instances.png")
    assert ids.dtype == np.uint16
    assert ids.shape == (32, 64)
    assert set(np.unique(ids)) == {0, 1, 2}
    rows = json.loads((tmp_path / "a.b_instances.json").read_text())
    assert [(row["id"], row["class"], row["label_id"]) for row in rows] == [
        (1, "car", 26),
        (2, "car", 26),
    ]
    for row, centre in zip(rows, (16, 48)):
        assert row["pixels"] == (ids == row["id"]).sum()
        assert row["centre"][0] == pytest.approx(centre, abs=2)
        assert 0 < row["score"] <= 1


def test_class_files_carry_regular_ids() -> None:
    classes = np.array([[0, 18, 10, 255]], np.uint8)
    assert file_ids(classes, CITYSCAPES_INFO).tolist() == [[7, 33, 23, 255]]
    assert file_ids(np.array([[0, 10]], np.uint8), CAMVID_INFO).tolist() == [[0, 10]]


def test_images_of_files_and_folders(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("b.png", "a.JPG", "notes.txt", "z.MP4"):
        (folder / name).touch()
    (folder / "._b.png").touch()  # as macOS leaves them on other drives
    (folder / "folder.png").mkdir()
    single = tmp_path / "c.png"
    write_png(single, np.zeros((2, 2), np.uint8))
    images, videos = find_inputs([folder, single])
    assert [path.name for path in images] == ["a.JPG", "b.png", "c.png"]
    assert [path.name for path in videos] == ["z.MP4"]


def test_missing_empty_and_ambiguous_images(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone\.png"):
        find_inputs([tmp_path / "gone.png"])
    with pytest.raises(FileNotFoundError, match=tmp_path.name):
        find_inputs([tmp_path])
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.png").touch()
    with pytest.raises(ValueError, match=r"x.same\.png and .*y.same\.png"):
        find_inputs([tmp_path / "x", tmp_path / "y"])
