from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from mtl_cuda.clustering.panoptic import PanopticSegments
from mtl_cuda.clustering.result import InstanceClusters
from mtl_cuda.data import CITYSCAPES_INFO, read_image, read_png
from mtl_cuda.inference.cityscapes_results import ResultWriter

NAME = "bonn_000001_000019"
CAR = 13


def prediction() -> dict[str, Any]:
    """Road and a car of two pixels, and one pixel of no class."""
    ids = torch.tensor([[[0, 1, 1, 0]]], dtype=torch.int32)
    car, road = torch.tensor([CAR]), torch.tensor([CAR, 0])
    return {
        "semantic": torch.tensor([[[0, CAR, CAR, -1]]]),
        "instances": InstanceClusters(ids, [car], [], [], [torch.tensor([0.25])]),
        "panoptic": PanopticSegments(torch.tensor([[[2, 1, 1, 0]]], dtype=torch.int32), [road]),
    }


def test_files_and_values(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "results"
    with ResultWriter(out, "val", CITYSCAPES_INFO) as writer:
        writer.write(NAME, prediction())
        assert not out.exists()
    assert read_png(out / "pixel" / f"{NAME}_labelIds.png").tolist() == [[7, 26, 26, 0]]
    lines = (out / "instance" / f"{NAME}.txt").read_text()
    assert lines == f"masks/{NAME}_1.png 26 0.2500\n"
    assert read_png(out / "instance" / "masks" / f"{NAME}_1.png").tolist() == [[0, 255, 255, 0]]
    folder = out / "panoptic" / "cityscapes_panoptic_val"
    assert read_image(folder / f"{NAME}_panoptic.png")[0, :, 0].tolist() == [2, 1, 1, 0]
    written = json.loads(folder.with_suffix(".json").read_text())["annotations"]
    assert written == [
        {
            "image_id": NAME,
            "file_name": f"{NAME}_panoptic.png",
            "segments_info": [{"id": 1, "category_id": 26}, {"id": 2, "category_id": 7}],
        }
    ]
    assert [path.name for path in out.parent.iterdir()] == ["results"]


def test_segment_ids_fill_three_bytes(tmp_path: Path) -> None:
    number = 1 + 2 * 256 + 3 * 256**2
    segments = PanopticSegments(torch.tensor([[[number]]]), [torch.tensor([0])])
    with ResultWriter(tmp_path / "out", "val", CITYSCAPES_INFO) as writer:
        writer.write(NAME, {"panoptic": segments})
    (file,) = (tmp_path / "out").glob("panoptic/*/*.png")
    assert read_image(file).tolist() == [[[1, 2, 3]]]


def test_only_what_is_predicted_is_written(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()  # empty: may be used
    with ResultWriter(tmp_path / "out", "val", CITYSCAPES_INFO) as writer:
        writer.write(NAME, {"semantic": prediction()["semantic"], "depth": torch.zeros(1, 1, 1, 4)})
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert [path.name for path in files] == [f"{NAME}_labelIds.png"]


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    def stopped() -> None:
        with ResultWriter(tmp_path / "other", "val", CITYSCAPES_INFO) as writer:
            writer.write(NAME, prediction())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert not list(tmp_path.iterdir())


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    for out in (tmp_path, tmp_path / "mine.txt"):
        with pytest.raises(FileExistsError, match="choose another folder"):
            ResultWriter(out, "val", CITYSCAPES_INFO)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
