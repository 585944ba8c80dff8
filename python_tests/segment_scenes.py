"""Small random scenes of true and predicted segments, for tests of AP and PQ."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mtl_cuda.clustering.result import InstanceClusters

NAMES = ("road", "sky", "car", "person")
THINGS = (2, 3)
STUFF = (0, 1)


class SegmentScene(NamedTuple):
    """One image: maps [H,W]; the predicted ids have a class and a score each."""

    semantic: np.ndarray
    instance: np.ndarray
    ids: np.ndarray
    classes: np.ndarray
    scores: np.ndarray

    def clusters(self) -> InstanceClusters:
        """As a batch of one."""
        return batch([self])[0]

    def target(self) -> dict[str, Tensor]:
        """As a batch of one."""
        return batch([self])[1]


def batch(scenes: list[SegmentScene]) -> tuple[InstanceClusters, dict[str, Tensor]]:
    """Predictions and targets of scenes of one size."""
    prediction = InstanceClusters(
        torch.from_numpy(np.stack([scene.ids for scene in scenes])),
        [torch.from_numpy(scene.classes) for scene in scenes],
        [],
        [],
        [torch.from_numpy(scene.scores) for scene in scenes],
    )
    names = ("semantic", "instance")
    target = {
        name: torch.from_numpy(np.stack([getattr(scene, name) for scene in scenes]))
        for name in names
    }
    return prediction, target


def random_scene(seed: int, size: int = 24) -> SegmentScene:
    """Blocks of stuff, instances, groups and void; predictions are shifted, cut and invented."""
    generator = np.random.default_rng(seed)
    semantic = np.repeat(generator.integers(0, 2, (size, 1)), size, axis=1).astype(np.uint8)
    instance = np.zeros((size, size), np.int32)
    ids = np.zeros((size, size), np.int32)
    classes: list[int] = []
    for number in range(1, generator.integers(0, 7) + 1):
        place, kind = _box(generator, size), generator.choice(THINGS)
        semantic[place], instance[place] = kind, number
        wrong = generator.random() < 0.2
        if generator.random() < 0.8:
            shifted = tuple(
                slice(max(0, s.start + d), max(0, s.stop + d))
                for s, d in zip(place, generator.integers(-1, 2, 2))
            )
            classes.append(int(generator.choice(THINGS) if wrong else kind))
            ids[shifted] = len(classes)
    for label in (2, 3, 255):  # groups of both classes, and void
        if generator.random() < 0.7:
            place = _box(generator, size)
            semantic[place], instance[place] = label, 0
    for _ in range(generator.integers(0, 3)):
        classes.append(int(generator.choice(THINGS)))
        ids[_box(generator, size)] = len(classes)
    steps = generator.integers(0, 6, len(classes))  # few steps: ties
    return SegmentScene(semantic, instance, ids, np.array(classes, np.int64), steps / 5)


def _box(generator: np.random.Generator, size: int) -> tuple[slice, slice]:
    top, left = generator.integers(0, size - 3, 2)
    tall, wide = generator.integers(3, 12, 2)
    return slice(top, top + tall), slice(left, left + wide)
