from __future__ import annotations

import copy
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from mtl_cuda.data import (
    CITYSCAPES_INFO,
    CamVidDataset,
    DatasetInfo,
    EvalTransform,
    SampleError,
    Scene,
    SceneSamples,
    TrainTransform,
    denormalise,
    normalise,
    write_png,
)


class Noise:
    """Scenes of random pixels, kept in memory."""

    def __init__(self, count: int = 6) -> None:
        generator = np.random.default_rng(0)
        self._scenes = [
            Scene(
                generator.integers(0, 256, (20, 30, 3), np.uint8),
                generator.integers(0, 19, (20, 30), np.uint8),
                generator.integers(0, 3, (20, 30), np.int32),
                generator.random((20, 30), np.float32),
                f"noise {number}",
            )
            for number in range(count)
        ]

    @property
    def info(self) -> DatasetInfo:
        return CITYSCAPES_INFO

    def __len__(self) -> int:
        return len(self._scenes)

    def scene(self, index: int) -> Scene:
        return self._scenes[index]


def samples(seed: int = 0) -> SceneSamples:
    return SceneSamples(Noise(), TrainTransform((16, 16), "1/m"), seed)


def images(dataset: SceneSamples, num_workers: int = 0) -> torch.Tensor:
    timeout = 60 if num_workers else 0
    loader = DataLoader(dataset, batch_size=2, num_workers=num_workers, timeout=timeout)
    return torch.cat([batch["image"] for batch in loader])


def test_sample() -> None:
    source = Noise()
    sample = SceneSamples(source, EvalTransform())[3]
    scene = source.scene(3)
    assert sample["name"] == "noise 3"
    assert sample["index"] == 3
    assert sample["image"].dtype == torch.float32
    assert sample["image"].shape == (3, 20, 30)
    assert sample["image"].is_contiguous()
    np.testing.assert_array_equal(denormalise(sample["image"]), scene.image)
    for key, dtype, array in (
        ("semantic", torch.uint8, scene.semantic),
        ("instance", torch.int32, scene.instance),
        ("depth", torch.float32, scene.inverse_depth),
    ):
        assert sample[key].dtype == dtype
        np.testing.assert_array_equal(sample[key].numpy(), array)


def test_default_collation() -> None:
    batch = next(iter(DataLoader(samples(), batch_size=3)))
    assert batch["image"].shape == (3, 3, 16, 16)
    for key in ("semantic", "instance", "depth"):
        assert batch[key].shape == (3, 16, 16)
    assert batch["index"].tolist() == [0, 1, 2]
    assert batch["name"] == ["noise 0", "noise 1", "noise 2"]


def test_augmentation_depends_on_seed_epoch_and_index_alone() -> None:
    dataset = samples()
    first = images(dataset)
    assert torch.equal(first, images(dataset))
    assert torch.equal(first, images(dataset, num_workers=2))
    assert torch.equal(first[4], dataset[4]["image"])
    assert not torch.equal(first, images(samples(seed=1)))
    dataset.set_epoch(1)
    second = images(dataset, num_workers=2)
    assert not torch.equal(first, second)
    assert torch.equal(second[5], dataset[5]["image"])
    dataset.set_epoch(0)
    assert torch.equal(first, images(dataset))


def test_scenes_of_one_epoch_are_augmented_differently() -> None:
    source = Noise()
    source._scenes = source._scenes[:1] * 2
    dataset = SceneSamples(source, TrainTransform((16, 16), "1/m"))
    assert not torch.equal(dataset[0]["image"], dataset[1]["image"])


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_persistent_workers_see_the_epoch(start: str) -> None:
    dataset = samples()
    loader = DataLoader(
        dataset,
        num_workers=1,
        persistent_workers=True,
        multiprocessing_context=start,
        timeout=60,
    )
    for epoch in range(3):
        dataset.set_epoch(epoch)
        for batch in loader:
            assert torch.equal(batch["image"][0], dataset[int(batch["index"])]["image"])


def test_copies_keep_their_epoch() -> None:
    dataset = samples()
    dataset.set_epoch(7)
    for other in (copy.deepcopy(dataset), pickle.loads(pickle.dumps(dataset))):
        assert torch.equal(other[0]["image"], dataset[0]["image"])


@pytest.mark.parametrize("workers", [0, 1])
def test_damaged_file_names_sample_and_file(tmp_path: Path, workers: int) -> None:
    (tmp_path / "train").mkdir()
    for name in "ab":
        write_png(tmp_path / "train" / f"{name}.png", np.zeros((4, 4, 3), np.uint8))
    (tmp_path / "train" / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    dataset = SceneSamples(CamVidDataset(tmp_path, "train"), EvalTransform())
    with pytest.raises(SampleError, match=r"sample 1 of camvid: .*train.b\.png: damaged"):
        list(DataLoader(dataset, num_workers=workers, timeout=60 * workers))
    (tmp_path / "train" / "b.png").unlink()
    with pytest.raises(SampleError, match=r"sample 1 of camvid: .*train.b\.png"):
        dataset[1]


def camvid_with_damage(root: Path, damaged: str) -> CamVidDataset:
    """Four scenes, each of its own grey; those named are damaged."""
    (root / "train").mkdir()
    for number, name in enumerate("abcd"):
        write_png(root / "train" / f"{name}.png", np.full((4, 4, 3), 10 * number, np.uint8))
    for name in damaged:
        (root / "train" / f"{name}.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return CamVidDataset(root, "train")


@pytest.mark.parametrize("workers", [0, 2])
def test_damaged_samples_are_replaced_and_counted(tmp_path: Path, workers: int) -> None:
    dataset = SceneSamples(camvid_with_damage(tmp_path, "cd"), EvalTransform(), skip_bad=2)
    loader = DataLoader(dataset, num_workers=workers, timeout=60 * workers)
    for _ in range(2):  # known ones are counted once
        if workers:
            names = [batch["name"][0] for batch in loader]
        else:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                names = [batch["name"][0] for batch in loader]
            assert len(caught) in (0, 2)
            assert all("skipped" in str(warning.message) for warning in caught)
        assert names == ["a", "b", "a", "a"]
    assert dataset.skipped == [2, 3]


def test_one_damaged_sample_too_many_is_an_error(tmp_path: Path) -> None:
    dataset = SceneSamples(camvid_with_damage(tmp_path, "bd"), EvalTransform(), skip_bad=1)
    with pytest.warns(UserWarning, match="sample 1 of camvid"):
        assert dataset[1]["name"] == "c"
    with pytest.raises(SampleError, match=r"sample 3 .*2 damaged samples"):
        dataset[3]


def test_all_damaged_samples_end_in_an_error(tmp_path: Path) -> None:
    dataset = SceneSamples(camvid_with_damage(tmp_path, "abcd"), EvalTransform(), skip_bad=4)
    with (
        pytest.warns(UserWarning, match="skipped"),
        pytest.raises(SampleError, match="4 damaged samples, 0 whole"),
    ):
        dataset[0]


def test_impossible_arguments() -> None:
    dataset = samples()
    for index in (-1, 6):
        with pytest.raises(IndexError, match=f"sample {index}"):
            dataset[index]
    with pytest.raises(ValueError, match="epoch"):
        dataset.set_epoch(-1)
    with pytest.raises(ValueError, match="seed"):
        samples(seed=-1)
    with pytest.raises(ValueError, match="skip_bad"):
        SceneSamples(Noise(), EvalTransform(), skip_bad=-1)


def test_normalised_pictures_come_back() -> None:
    image = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    image[..., 0] = np.arange(256)
    tensor = normalise(image)
    assert abs(tensor.mean()) < 0.5
    np.testing.assert_array_equal(denormalise(tensor), image)
    pixel = normalise(np.array([[[255, 0, 128]]], np.uint8)).flatten().tolist()
    expected = [(1 - 0.485) / 0.229, -0.456 / 0.224, (128 / 255 - 0.406) / 0.225]
    assert pixel == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match=r"\[3, H, W\]"):
        denormalise(torch.zeros(1, 3, 4, 4))
