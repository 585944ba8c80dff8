"""Predictions that are the truth with mistakes in it: some of every kind that evaluation knows."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from mtl_cuda.clustering.panoptic import merge_panoptic
from mtl_cuda.clustering.result import InstanceClusters
from mtl_cuda.data import CITYSCAPES_INFO, Scene

THINGS = CITYSCAPES_INFO.thing_classes


def perturb(scene: Scene, seed: int) -> dict[str, Any]:
    """Predictions for a scene, as a batch of one in the form that `SceneMetrics` takes.

    Instances are moved by a few pixels, lose a side, change their class, fall in two or are missed;
    the classes are wrong in some blocks, and some blocks are invented instances.
    """
    generator = np.random.default_rng(seed)
    ids = np.zeros(scene.size, np.int32)
    classes: list[int] = []

    def add(mask: np.ndarray, kind: int) -> None:
        if mask.any():
            classes.append(kind)
            ids[mask] = len(classes)

    semantic = scene.semantic.astype(np.int64)
    for number in range(1, int(scene.instance.max(initial=0)) + 1):
        mask = scene.instance == number
        kind = int(semantic[mask][0])
        mistake = generator.choice(["none", "move", "cut", "class", "split", "miss"])
        if mistake == "class":
            kind = int(generator.choice(THINGS))
        if mistake in ("move", "class"):
            mask = np.roll(mask, generator.integers(-3, 4, 2), axis=(0, 1))
        if mistake in ("cut", "split"):
            column = int(np.quantile(np.nonzero(mask)[1], generator.uniform(0.05, 0.6)))
            left = mask & (np.arange(mask.shape[1]) <= column)
            if mistake == "split":
                add(left, kind)
            mask = mask & ~left
        if mistake != "miss":
            add(mask, kind)
    for _ in range(3):
        block = np.zeros(scene.size, bool)
        block[_block(generator, scene.size)] = True
        add(block, int(generator.choice(THINGS)))
        semantic[_block(generator, scene.size)] = generator.choice([0, 2, 8, 10])
    semantic[semantic == 255] = generator.choice([2, 8, THINGS[2]])
    return as_batch(semantic, ids, classes, generator.integers(0, 10001, len(classes)) / 10000)


def as_batch(
    semantic: np.ndarray, ids: np.ndarray, classes: list[int], scores: np.ndarray
) -> dict[str, Any]:
    """A class map [H,W] and instances 1..N as predictions; ids without a pixel are dropped."""
    left = [n for n in range(1, len(classes) + 1) if (ids == n).any()]
    table = np.zeros(len(classes) + 1, np.int32)
    table[left] = np.arange(1, len(left) + 1)
    ids, rows = table[ids], np.array(left, np.int64) - 1
    instances = InstanceClusters(
        torch.from_numpy(ids)[None],
        [torch.tensor(classes, dtype=torch.int64)[rows]],
        [torch.zeros(len(left), 2)],
        [torch.from_numpy(np.bincount(ids.ravel(), minlength=len(left) + 1)[1:])],
        [torch.from_numpy(scores[rows]).float()],
    )
    maps = torch.from_numpy(semantic)[None]
    return {
        "semantic": maps,
        "instances": instances,
        "panoptic": merge_panoptic(maps, instances, THINGS),
    }


def _block(generator: np.random.Generator, size: tuple[int, int]) -> tuple[slice, ...]:
    starts = [int(generator.integers(0, side - 12)) for side in size]
    return tuple(slice(start, start + int(generator.integers(6, 40))) for start in starts)
