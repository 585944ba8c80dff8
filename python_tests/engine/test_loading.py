from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mtl_cuda.data import CITYSCAPES_INFO, CityscapesDataset, Scene
from mtl_cuda.engine.build import open_source
from mtl_cuda.engine.config import TrainConfig
from mtl_cuda.engine.distributed import Ranks
from mtl_cuda.engine.loading import EpochOrder, evaluation_batches, to_device, training_batches


def test_every_epoch_has_its_own_order() -> None:
    order, again = EpochOrder(50, seed=3, batch_size=5), EpochOrder(50, 3, 5)
    first = list(order)
    assert sorted(first) == list(range(50))
    assert first == list(again)
    order.epoch = 1
    assert sorted(order) == list(range(50))
    assert list(order) != first
    assert list(EpochOrder(50, 4, 5)) != first


def test_batches_go_on_beyond_an_epoch(tiny: Callable[..., TrainConfig]) -> None:
    config = tiny()
    config.data.batch_size = 4  # one batch per epoch of six scenes
    batches = list(islice(training_batches(open_source(config, "train"), config.data, 0), 3))
    assert [batch["image"].shape for batch in batches] == [(4, 3, 32, 64)] * 3
    assert len({tuple(batch["index"].tolist()) for batch in batches}) > 1


def test_every_epoch_has_its_own_augmentation(tiny: Callable[..., TrainConfig]) -> None:
    config = tiny()
    config.data.batch_size = 6
    batches = islice(training_batches(open_source(config, "train"), config.data, 0), 2)
    first, second = (batch["image"][batch["index"].argsort()] for batch in batches)
    assert not any(torch.equal(a, b) for a, b in zip(first, second))


def test_evaluation_keeps_the_order_and_the_last_batch(tiny: Callable[..., TrainConfig]) -> None:
    config = tiny()
    source = open_source(config, "val")
    indices = [batch["index"].tolist() for batch in evaluation_batches(source, config.data)]
    assert indices == [[0, 1], [2]]
    first = [batch["index"].tolist() for batch in evaluation_batches(source, config.data, 1)]
    assert first == [[0]]


def test_names_stay_behind(tiny: Callable[..., TrainConfig]) -> None:
    config = tiny()
    batch = next(iter(evaluation_batches(open_source(config, "val"), config.data)))
    moved = to_device(batch, torch.device("cpu"))
    assert set(moved) == {"image", "semantic", "instance", "depth", "index"}


class Hanging:
    """Scenes that come late, as from a file system that hangs."""

    info = CITYSCAPES_INFO

    def __len__(self) -> int:
        return 4

    def scene(self, index: int) -> Scene:
        time.sleep(1.5)
        raise OSError("too late")


def test_a_worker_that_takes_too_long_is_told(tiny: Callable[..., TrainConfig]) -> None:
    config = tiny()
    config.data.workers, config.data.timeout = 1, 0.5
    with pytest.raises(RuntimeError, match=r"data\.timeout: .*within 0\.5 s"):
        next(training_batches(Hanging(), config.data, 0))
    with pytest.raises(RuntimeError, match=r"data\.timeout"):
        next(iter(evaluation_batches(Hanging(), config.data)))


@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 30), st.integers(0, 2))
def test_processes_share_every_batch(count: int, own: int, length: int, first: int) -> None:
    def batches(index: int, processes: int) -> list[list[int]]:
        ranks = Ranks()
        ranks.index, ranks.count = index, processes
        order = EpochOrder(length, 5, own * count, ranks)
        order.batch = min(first, length // (own * count))
        indices, size = list(order), own * count // processes
        assert len(indices) == len(order)
        return [indices[i : i + size] for i in range(0, len(indices), size)]

    shares = [batches(index, count) for index in range(count)]
    assert [sum(parts, []) for parts in zip(*shares)] == batches(0, 1)  # noqa: RUF017


def test_a_batch_that_cannot_be_shared() -> None:
    ranks = Ranks()
    ranks.count = 3
    with pytest.raises(ValueError, match=r"data\.batch_size: .* multiple of the 3 processes.* 4"):
        EpochOrder(10, 0, 4, ranks)


def test_every_scene_is_measured_by_one_process(tiny: Callable[..., TrainConfig]) -> None:
    config = tiny()
    source = open_source(config, "val")
    shares = []
    for index in range(2):
        ranks = Ranks()
        ranks.index, ranks.count = index, 2
        batches = evaluation_batches(source, config.data, ranks=ranks)
        shares.append([number for batch in batches for number in batch["index"].tolist()])
    assert shares == [[0, 2], [1]]


def test_learning_from_other_disparities_than_those_measured_against(
    tiny: Callable[..., TrainConfig],
) -> None:
    data = tiny().data

    def depths(split: str, disparity: str) -> np.ndarray:
        return CityscapesDataset(data.root, split, disparity=disparity).scene(0).inverse_depth

    for val_disparity, measured in (("disparity_gt", "disparity_gt"), (None, "disparity")):
        config = tiny()
        config.data = dataclasses.replace(data, disparity="disparity", val_disparity=val_disparity)
        for split, folder in (("train", "disparity"), ("val", measured)):
            found = open_source(config, split).scene(0).inverse_depth
            np.testing.assert_array_equal(found, depths(split, folder))
    assert not np.array_equal(depths("val", "disparity"), depths("val", "disparity_gt"))
