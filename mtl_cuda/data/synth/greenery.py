"""Trees, hedges and the far skyline."""

from __future__ import annotations

import numpy as np

from mtl_cuda.data.io import require_cv2
from mtl_cuda.data.synth.classes import VEGETATION
from mtl_cuda.data.synth.geometry import Face, Texture, upright
from mtl_cuda.data.synth.paint import Colour, Painter, jitter, smooth_noise

_LEAVES: tuple[Colour, ...] = ((70, 96, 42), (92, 110, 50), (54, 84, 46), (120, 118, 56))


def leaf_colour(rng: np.random.Generator) -> Colour:
    """A green, sometimes an autumn colour."""
    if rng.random() < 0.12:
        return jitter(rng, (150, 110, 50), 0.2)
    return jitter(rng, _LEAVES[rng.integers(len(_LEAVES))], 0.25)


def _leaves(
    rng: np.random.Generator, shape: tuple[int, int], density: float, colour: Colour, grain: float
) -> tuple[Texture, np.ndarray]:
    """Foliage, darker below, and the noise [h, w] it was made of, for a ragged edge."""
    noise = smooth_noise(rng, shape, 0.9 * density, 4)
    fine = smooth_noise(rng, shape, 0.2 * density, 2)
    rows = np.linspace(1.15, 0.6, shape[0], dtype=np.float32)[:, None]
    texture = np.empty((*shape, 4), np.uint8)
    shade = rows * np.clip(1 + grain * (0.55 * noise + 0.45 * fine), 0.25, 2)
    texture[..., :3] = np.clip(np.array(colour, np.float32) * shade[..., None], 0, 255)
    return texture, noise + 0.5 * fine


def _blob(
    rng: np.random.Generator, radius: float, density: float, colour: Colour, grain: float
) -> Texture:
    """A ragged round bunch of leaves."""
    size = max(4, round(2 * radius * density))
    texture, noise = _leaves(rng, (size, size), density, colour, grain)
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    distance = np.hypot(axis[:, None], axis)
    texture[..., 3] = 255 * (distance < 0.82 + 0.3 * noise.clip(-0.6, 0.6))
    return texture


def tree(
    rng: np.random.Generator, height: float, density: float, grain: float
) -> tuple[list[Face], float]:
    """A tree that stands at the origin, and the radius of its crown in metres.

    The crown is a heap of flat bunches at several depths.
    """
    cv2 = require_cv2()
    trunk_top = height * rng.uniform(0.25, 0.4)
    thickness = 0.03 * height + 0.05
    bark = Painter(thickness, trunk_top + 0.3 * height, density, (80, 66, 52))
    bark.box(0, 0, thickness, trunk_top + 0.3 * height, jitter(rng, (84, 70, 56), 0.25))
    bark.grain(rng, 0.3 * grain, 0.15)
    half = thickness / 2
    faces = [upright((-half, 0), (half, 0), 0, trunk_top + 0.3 * height, bark.texture, VEGETATION)]

    crown = (height - trunk_top) / 2
    radius = crown * rng.uniform(0.6, 0.95)
    colour = leaf_colour(rng)
    sheets = [_blob(rng, 0.6 * radius, density, jitter(rng, colour, 0.12), grain) for _ in range(3)]
    for _ in range(9):
        direction = rng.normal(size=3)
        x, y, z = direction / np.linalg.norm(direction) * rng.uniform(0.3, 0.75)
        size = 0.6 * radius * rng.uniform(0.75, 1.2)
        sheet = sheets[rng.integers(3)]
        if rng.random() < 0.5:
            sheet = cv2.flip(sheet, 1)
        middle = trunk_top + crown * (1.0 + 0.8 * y)
        tilt = size * rng.uniform(-0.3, 0.3)
        start, end = (x * radius - size, z * radius - tilt), (x * radius + size, z * radius + tilt)
        faces.append(upright(start, end, middle - size, middle + size, sheet, VEGETATION))
    return faces, radius


def hedge(
    rng: np.random.Generator,
    start: tuple[float, float],
    end: tuple[float, float],
    height: float,
    density: float,
    grain: float,
) -> Face:
    """A hedge or a row of bushes along the ground from `start` to `end`, ragged on top."""
    length = float(np.hypot(end[0] - start[0], end[1] - start[1]))
    shape = (max(3, round(height * density)), max(3, round(length * density)))
    texture, noise = _leaves(rng, shape, density, leaf_colour(rng), grain)
    rows = np.linspace(1, 0, shape[0], dtype=np.float32)[:, None]
    bumps = smooth_noise(rng, (1, shape[1]), 2.5 * density, 3)
    texture[..., 3] = 255 * (rows < 0.8 + 0.15 * bumps + 0.12 * noise)
    return upright(start, end, 0.0, height, texture, VEGETATION)
