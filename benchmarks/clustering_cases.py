"""Votes to cluster: typical ones of any number, and adversaries."""

from __future__ import annotations

import math
from dataclasses import dataclass

import dense_grouping
import numpy as np
import torch
from torch import Tensor

EPS, INSTANCES, HEIGHT, WIDTH = 3.0, 60, 1024, 2048


@dataclass(frozen=True)
class Case:
    """Votes [N,2] float64 and settings; what dense grouping needs instead of settings.

    heatmap: of an image of N pixels; scaled: the votes [N,2] float32 in its pixels; classes: [N].
    """

    votes: Tensor
    eps: float
    min_samples: int
    heatmap: Tensor
    scaled: Tensor
    classes: Tensor


def _image_shape(pixels: int) -> tuple[int, int]:
    """Of all heights that divide the pixels that nearest to half the width, from below."""
    height = next(h for h in range(math.isqrt(pixels // 2), 0, -1) if pixels % h == 0)
    return height, pixels // height


def typical(count: int, seed: int = 0) -> Case:
    """Most votes within about 2.5 pixels of one of 60 centres, one in ten anywhere."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0, 1, (INSTANCES, 2)) * [WIDTH, HEIGHT]
    votes = centres[rng.integers(0, INSTANCES, count)] + rng.normal(0, 2.5, (count, 2))
    astray = rng.random(count) < 0.1
    votes[astray] = rng.uniform(0, 1, (int(astray.sum()), 2)) * [WIDTH, HEIGHT]
    height, width = _image_shape(count)
    scale = np.array([width / WIDTH, height / HEIGHT])
    return Case(
        votes=torch.from_numpy(votes),
        eps=EPS,
        min_samples=max(5, count // 5000),
        heatmap=dense_grouping.draw_heatmap(torch.from_numpy(centres * scale), height, width),
        scaled=torch.from_numpy((votes * scale).astype(np.float32)),
        classes=torch.from_numpy(rng.integers(0, 8, count)),
    )


def adversary(name: str) -> Case:
    """Votes that take minutes where crowded cells are compared pair by pair.

    The heatmap is noise: peaks everywhere, of which dense grouping takes the strongest 200.
    """
    rng = np.random.default_rng(1)
    along = rng.uniform(-0.3, 0.3, 500_000)
    arc = np.stack([np.cos(along), np.sin(along)], axis=1) * (1 + 1e-9)
    lines = [np.stack([np.full(500_000, x), along], axis=1) for x in (0.0, 1 + 1e-9)]
    dense, sparse = rng.normal(0, 0.01, (500_000, 2)), rng.uniform(-1.2, 1.2, (20_000, 2))
    clump = rng.normal(0, 1e-11, (500_000, 2))
    cases: dict[str, tuple[np.ndarray, float, int]] = {
        "a million votes in one place": (np.full((1_000_000, 2), 3.3), 1.0, 10),
        "two dense lines just beyond eps": (np.concatenate(lines), 1.0, 10),
        "a dense arc just beyond eps": (np.concatenate([arc, clump]), 1.0, 10),
        "sparse beside dense": (np.concatenate([dense, sparse]), 1.0, 510_000),
        "huge eps": (rng.uniform(0, 2000, (1_000_000, 2)), 1e6, 10),
        "huge min_samples": (rng.uniform(0, 100, (500_000, 2)), 30.0, 141_000),
    }
    points, eps, least = cases[name]
    votes = torch.from_numpy(points)
    height, width = _image_shape(len(votes))
    noise = torch.from_numpy(rng.random((height, width), dtype=np.float32))
    classes = torch.from_numpy(rng.integers(0, 8, len(votes)))
    return Case(votes, eps, least, noise, votes.float(), classes)


ADVERSARIES = (
    "a million votes in one place",
    "two dense lines just beyond eps",
    "a dense arc just beyond eps",
    "sparse beside dense",
    "huge eps",
    "huge min_samples",
)


def make_case(key: int | str) -> Case:
    """Typical votes of a number, or the adversary of a name."""
    return typical(key) if isinstance(key, int) else adversary(key)
