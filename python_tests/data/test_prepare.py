from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mtl_cuda.cli import main
from mtl_cuda.data import CamVidDataset, CityscapesDataset, Scene, write_png
from mtl_cuda.data import prepare as prepare_module
from mtl_cuda.data.formats import read_camera
from mtl_cuda.data.prepare import prepare_dataset
from mtl_cuda.data.prepared import MARKER, read_marker
from mtl_cuda.engine.build import open_source
from mtl_cuda.engine.config import DataConfig, LossConfig, TrainConfig
from mtl_cuda.engine.loading import training_batches

SIZES = [(16, 32), (20, 24), (40, 100)]  # half; ratios that differ; larger


def assert_same_scene(one: Scene, other: Scene) -> None:
    for name in ("image", "semantic", "instance", "inverse_depth"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert one.name == other.name


@pytest.mark.parametrize("size", SIZES)
def test_scenes_are_those_of_the_source_resized(
    scenes: Path, tmp_path: Path, size: tuple[int, int]
) -> None:
    out = tmp_path / "small"
    prepared = prepare_dataset(scenes, out, size)
    assert prepared.counts == {"train": 6, "val": 3}
    assert read_marker(out) == prepared
    for kind, folder in (
        ("metric", "disparity"),
        ("metric", "disparity_gt"),
        ("disparity", "disparity"),
    ):
        for split, count in prepared.counts.items():
            small = CityscapesDataset(out, split, depth=kind, disparity=folder)  # type: ignore[arg-type]
            large = CityscapesDataset(scenes, split, depth=kind, disparity=folder, size=size)  # type: ignore[arg-type]
            assert small.counts == large.counts
            for index in range(count):
                assert_same_scene(small.scene(index), large.scene(index))
    assert (small.scene(0).inverse_depth > 0).any()


def test_the_camera_is_that_of_the_small_image(scenes: Path, tmp_path: Path) -> None:
    prepare_dataset(scenes, tmp_path / "small", (8, 32), ["val"])
    path = Path("camera/val/synth/synth_000000_000000_camera.json")
    old, new = read_camera(scenes / path), read_camera(tmp_path / "small" / path)
    assert (new.fx, new.fy) == (old.fx / 2, old.fy / 4)
    assert (new.u0, new.v0) == ((old.u0 + 0.5) / 2 - 0.5, (old.v0 + 0.5) / 4 - 0.5)
    assert new.fx * new.baseline == pytest.approx(old.fx * old.baseline)
    assert not (tmp_path / "small" / "leftImg8bit" / "train").exists()


def config_for(root: Path, size: tuple[int, int] | None, name: str = "cityscapes") -> TrainConfig:
    tasks = ("semantic", "instance", "depth") if name == "cityscapes" else ("semantic",)
    data = DataConfig(root=str(root), name=name, size=size, workers=0, batch_size=2)  # type: ignore[arg-type]
    data.crop_size = (16, 32)
    return TrainConfig(data=data, loss=LossConfig(tasks=tasks))


def test_training_sees_the_same_batches(scenes: Path, tmp_path: Path) -> None:
    prepare_dataset(scenes, tmp_path / "small", (16, 32))
    batches = []
    for root in (scenes, tmp_path / "small"):
        config = config_for(root, (16, 32))
        batches.append(next(training_batches(open_source(config, "train"), config.data, seed=3)))
    for name in ("image", "semantic", "instance", "depth"):
        np.testing.assert_array_equal(batches[0][name].numpy(), batches[1][name].numpy())


def test_training_at_another_size_is_refused(scenes: Path, tmp_path: Path) -> None:
    prepare_dataset(scenes, tmp_path / "small", (16, 32))
    open_source(config_for(tmp_path / "small", None), "train")
    with pytest.raises(ValueError, match=r"data\.size: expected \[16, 32\] or null, got \[8, 16\]"):
        open_source(config_for(tmp_path / "small", (8, 16)), "train")


def make_camvid(root: Path) -> None:
    generator = np.random.default_rng(0)
    for split in ("train", "test"):
        for folder in (root / split, root / f"{split}annot"):
            folder.mkdir(parents=True)
        for name in ("a", "b"):
            image = generator.integers(0, 256, (24, 32, 3), np.uint8)
            write_png(root / split / f"{name}.png", image)
        labels = generator.integers(0, 12, (24, 32), np.uint8)
        write_png(root / f"{split}annot" / "a.png", labels)


def test_camvid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_camvid(tmp_path / "camvid")
    arguments = ["prepare", "--root", str(tmp_path / "camvid"), "--out", str(tmp_path / "small")]
    assert main([*arguments, "--size", "12x20", "--workers", "1"]) == 0
    assert "2 test, 2 train" in capsys.readouterr().out
    small = CamVidDataset(tmp_path / "small", "test")
    large = CamVidDataset(tmp_path / "camvid", "test", size=(12, 20))
    assert small.counts == large.counts == {"images": 2, "labels": 1}
    for index in range(2):
        assert_same_scene(small.scene(index), large.scene(index))
    with pytest.raises(ValueError, match=r"data\.size"):
        open_source(config_for(tmp_path / "small", (24, 32), "camvid"), "train")
    assert main([*arguments, "--size", "12x20"]) == 2
    assert "choose another folder" in capsys.readouterr().err


def test_goes_on_where_it_was_interrupted(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, done = tmp_path / "small", []
    do = prepare_module._do

    def interrupted(job: prepare_module._Job) -> None:
        if len(done) == 4:
            raise KeyboardInterrupt
        do(job)
        done.append(job.image[1].name)

    with monkeypatch.context() as patch:
        patch.setattr(prepare_module, "_do", interrupted)
        with pytest.raises(KeyboardInterrupt):
            prepare_dataset(scenes, out, (16, 32))
    assert not out.exists()
    with pytest.raises(FileExistsError, match="not finished"):
        prepare_dataset(scenes, out, (8, 16))
    steps: list[tuple[int, int]] = []
    prepare_dataset(scenes, out, (16, 32), progress=lambda *step: steps.append(step))
    assert steps == [(number, 9) for number in range(5, 10)]
    assert not list(tmp_path.glob(".*"))
    assert len(CityscapesDataset(out, "train", disparity="disparity_gt")) == 6


def test_processes_write_the_same_files(scenes: Path, tmp_path: Path) -> None:
    for name, workers in (("one", 1), ("two", 2)):
        prepare_dataset(scenes, tmp_path / name, (16, 32), ["val"], workers=workers)
    files = [
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*.*") if path.is_file()}
        for root in (tmp_path / "one", tmp_path / "two")
    ]
    assert len(files[0]) == 3 * 6 + 1
    assert files[0] == files[1]


def test_sizes_of_the_source_are_checked(scenes: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(scenes, source)
    odd = source / "leftImg8bit/val/synth/synth_000001_000000_leftImg8bit.png"
    write_png(odd, np.zeros((32, 62, 3), np.uint8))
    with pytest.raises(ValueError, match=r"synth_000001.* is 62 x 32 pixels, the first image 64"):
        prepare_dataset(source, tmp_path / "small", (16, 32), ["val"])
    shutil.copy(odd.with_name("synth_000000_000000_leftImg8bit.png"), odd)
    labels = source / "gtFine/val/synth/synth_000001_000000_gtFine_labelIds.png"
    write_png(labels, np.zeros((16, 64), np.uint8))
    with pytest.raises(ValueError, match=r"synth_000001.*labelIds.* is 64 x 16"):
        prepare_dataset(source, tmp_path / "small", (16, 32), ["val"])
    assert not (tmp_path / "small").exists()


def test_files_beside_the_folders_are_no_splits(tmp_path: Path) -> None:
    for folder in ("images", "images/train", "images/val"):
        (tmp_path / folder).mkdir()
    (tmp_path / "images" / "list.txt").touch()
    assert prepare_module._folders(tmp_path / "images") == ["train", "val"]
    assert prepare_module._folders(tmp_path / "nowhere") == []


def test_bad_arguments(scenes: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="size"):
        prepare_dataset(scenes, tmp_path / "small", (0, 32))
    with pytest.raises(FileNotFoundError, match="train, val"):
        prepare_dataset(scenes, tmp_path / "small", (16, 32), ["train", "tests"])
    with pytest.raises(FileNotFoundError):
        prepare_dataset(tmp_path / "nowhere", tmp_path / "small", (16, 32))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", [{"version": 2}, {"size": [3]}, {"other": 1}, {"size": None}])
def test_a_damaged_marker_is_told(tmp_path: Path, change: dict[str, object]) -> None:
    assert read_marker(tmp_path) is None
    content = {
        "source": "a",
        "layout": "camvid",
        "source_size": [4, 8],
        "size": [2, 2],
        "counts": {"train": 1},
        "version": 1,
    }
    (tmp_path / MARKER).write_text(json.dumps(content))
    found = read_marker(tmp_path)
    assert found is not None
    assert found.width_ratio == 0.25
    assert replace(found, size=(2, 4)).width_ratio == 0.5
    (tmp_path / MARKER).write_text(json.dumps({**content, **change}))
    with pytest.raises(ValueError, match=MARKER):
        read_marker(tmp_path)
