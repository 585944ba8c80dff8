"""Batches of samples, in an order that depends on the seed and the epoch alone."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from mtl_cuda.data import EvalTransform, SceneSamples, SceneSource, TrainTransform
from mtl_cuda.engine.config import DataConfig
from mtl_cuda.engine.distributed import ALONE, Ranks
from mtl_cuda.engine.signals import leave_signals_to_the_parent

Batch = Mapping[str, Any]
"""Collated samples: see `mtl_cuda.data.SceneSamples`."""


@dataclass
class Position:
    """How far training has come through its samples.

    Attributes:
        epoch: from 0.
        batch: batches of this epoch that were handed out.
    """

    epoch: int = 0
    batch: int = 0


class EpochOrder(Sampler[int]):
    """The indices 0..length-1, shuffled anew for every epoch by (seed, epoch).

    Cut into whole batches; of each batch the part of one process. So several processes see together
    what one would see alone.

    Args:
        length: number of samples.
        seed: of the order.
        batch_size: samples per batch of all processes.
        ranks: the processes that share each batch.

    Raises:
        ValueError: they cannot have equal parts of it.
    """

    def __init__(self, length: int, seed: int, batch_size: int, ranks: Ranks = ALONE) -> None:
        if batch_size % ranks.count:
            raise ValueError(
                f"data.batch_size: expected a multiple of the {ranks.count} processes that share "
                f"each batch, got {batch_size}"
            )
        self._length = length
        self._seed = seed
        self._batch_size = batch_size
        self.own_size = batch_size // ranks.count
        self._first = ranks.index * self.own_size
        self.epoch = 0
        self.batch = 0  # of the epoch, to start with

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + self.epoch)
        order = torch.randperm(self._length, generator=generator)
        batches = order[: len(order) // self._batch_size * self._batch_size]
        batches = batches.view(-1, self._batch_size)[self.batch :]
        return iter(batches[:, self._first : self._first + self.own_size].flatten().tolist())

    def __len__(self) -> int:
        return (self._length // self._batch_size - self.batch) * self.own_size


def training_batches(
    source: SceneSource,
    data: DataConfig,
    seed: int,
    position: Position | None = None,
    ranks: Ranks = ALONE,
) -> Generator[Batch, None, None]:
    """Endless batches of augmented samples; the last, incomplete one of an epoch is left out.

    Args:
        source: of the scenes.
        data: how they become batches.
        seed: of their order and augmentation.
        position: where to start; moves on with every batch.
        ranks: the processes that share each batch.

    Raises:
        ValueError: fewer scenes than one batch needs, or a batch that cannot be shared.
    """
    if len(source) < data.batch_size:
        raise ValueError(
            f"data.batch_size: {data.batch_size} scenes per batch, but {data.root} has only "
            f"{len(source)} in split {data.train_split!r}"
        )
    samples = SceneSamples(source, _train_transform(source, data), seed, data.skip_bad)
    order = EpochOrder(len(samples), seed, data.batch_size, ranks)
    workers = _worker_count(data.workers)
    loader = DataLoader(
        samples,
        order.own_size,
        sampler=order,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        worker_init_fn=_start_worker,
        timeout=data.timeout if workers else 0,
        pin_memory=torch.cuda.is_available(),
        generator=_own_generator(),
    )
    position = position or Position()
    while True:
        samples.set_epoch(position.epoch)
        order.epoch, order.batch = position.epoch, position.batch
        for batch in _within(data.timeout, loader):
            position.batch += 1
            yield batch
        position.epoch, position.batch = position.epoch + 1, 0


def evaluation_batches(
    source: SceneSource, data: DataConfig, limit: int | None = None, ranks: Ranks = ALONE
) -> Iterator[Batch]:
    """Samples in order without augmentation; at most `limit` of them, spread over all.

    Of these every process takes one in turn.
    """
    samples = evaluation_samples(source)
    workers = _worker_count(data.workers)
    loader = DataLoader(
        samples,
        data.eval_batch_size,
        sampler=spread(len(samples), limit)[ranks.index :: ranks.count],
        num_workers=workers,
        worker_init_fn=_start_worker,
        timeout=data.timeout if workers else 0,
        pin_memory=torch.cuda.is_available(),
        generator=_own_generator(),
    )
    return _within(data.timeout, loader)


def evaluation_samples(source: SceneSource) -> SceneSamples:
    """Samples without augmentation, at the size in which the source gives them."""
    return SceneSamples(source, EvalTransform())


def spread(length: int, limit: int | None) -> list[int]:
    """At most `limit` of the indices 0..length-1, evenly spaced (data sets are sorted by place)."""
    count = length if limit is None else min(limit, length)
    return [index * length // count for index in range(count)]


def to_device(batch: Batch, device: torch.device) -> dict[str, Tensor]:
    """Copy the tensors of a batch; names stay behind."""
    return {
        key: value.to(device, non_blocking=True)
        for key, value in batch.items()
        if isinstance(value, Tensor)
    }


def _train_transform(source: SceneSource, data: DataConfig) -> TrainTransform:
    crop_size = data.crop_size or data.size
    if crop_size is None:
        raise ValueError("data.crop_size: expected a height and width where data.size is null")
    return TrainTransform(
        crop_size, source.info.depth_unit, data.scale_range, data.flip_probability, data.jitter
    )


def _within(seconds: float, loader: DataLoader[Batch]) -> Iterator[Batch]:
    """The batches of a loader; a worker that hangs is told by the name of the key."""
    try:
        yield from loader
    except RuntimeError as error:
        if "timed out" not in str(error):
            raise
        raise RuntimeError(
            f"data.timeout: expected a batch within {seconds:g} s, and no worker gave one: a file "
            "system that hangs, or too little time for what a batch takes to load"
        ) from error


def _worker_count(wanted: int) -> int:
    if hasattr(os, "sched_getaffinity"):
        return min(wanted, len(os.sched_getaffinity(0)))
    return min(wanted, os.cpu_count() or 1)


def _own_generator() -> torch.Generator:
    """For the numbers that a loader draws, so that it takes none that a network's dropout gets.

    Nothing depends on them: samples are seeded on their own.
    """
    return torch.Generator().manual_seed(0)


def _start_worker(worker: int) -> None:
    leave_signals_to_the_parent()
