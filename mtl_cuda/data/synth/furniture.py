"""What stands at the kerb or bounds a garden: poles, signs, lights, walls, fences, bins."""

from __future__ import annotations

import math

import numpy as np

from mtl_cuda.data.scene import IGNORE
from mtl_cuda.data.synth.classes import FENCE, POLE, TRAFFIC_LIGHT, TRAFFIC_SIGN, WALL
from mtl_cuda.data.synth.geometry import Face, Texture, upright
from mtl_cuda.data.synth.paint import Colour, Painter, jitter, opaque, smooth_noise

_METAL: Colour = (112, 114, 116)
_WHITE: Colour = (225, 225, 225)
_RED: Colour = (190, 30, 35)
_BLUE: Colour = (30, 70, 160)


def _bar(
    rng: np.random.Generator, low: float, high: float, thickness: float, colour: Colour
) -> Face:
    """An upright bar at the origin, lit from one side."""
    light = np.array([0.75, 1.2, 1.0, 0.7], np.float32)
    texture = opaque(np.array(colour, np.float32) * light[None, :, None])
    half = thickness / 2
    return upright((-half, 0), (half, 0), low, high, texture, POLE)


def lamp(rng: np.random.Generator, towards: float) -> list[Face]:
    """A street lamp at the origin; its arm reaches over the street (`towards` = -1 or 1 in x)."""
    height, reach = rng.uniform(5.5, 8.5), towards * rng.uniform(1.0, 2.2)
    colour = jitter(rng, _METAL, 0.35)
    arm = opaque(np.full((2, 4, 3), colour, np.float32))
    left, right = sorted((0.0, reach))
    end = reach - 0.3 * towards
    return [
        _bar(rng, 0, height, rng.uniform(0.13, 0.2), colour),
        upright((left, 0), (right, 0), height - 0.1, height, arm, POLE),
        upright((end - 0.3, -0.01), (end + 0.3, -0.01), height - 0.22, height, arm, POLE),
    ]


def bollard(rng: np.random.Generator) -> list[Face]:
    """A low post at the origin."""
    return [_bar(rng, 0, rng.uniform(0.8, 1.1), 0.14, jitter(rng, (95, 90, 85), 0.6))]


def traffic_light(rng: np.random.Generator, density: float) -> list[Face]:
    """A traffic light on its pole at the origin, seen from the front."""
    box = Painter(0.36, 0.95, density, (25, 27, 26))
    box.box(0, 0, 0.36, 0.95, (25, 27, 26))
    on = rng.integers(3)
    for index, colour in enumerate([(235, 50, 40), (240, 180, 40), (60, 220, 130)]):
        dark = tuple(0.22 * channel for channel in colour)
        lit: Colour = colour if index == on else (dark[0], dark[1], dark[2])
        box.disc((0.18, 0.79 - 0.31 * index), 0.125, lit)
    height = rng.uniform(2.5, 3.4)
    front = upright(
        (-0.18, -0.12), (0.18, -0.12), height, height + 0.95, box.texture, TRAFFIC_LIGHT
    )
    return [_bar(rng, 0, height + 0.9, 0.14, jitter(rng, _METAL, 0.3)), front]


def traffic_sign(rng: np.random.Generator, density: float) -> list[Face]:
    """A traffic sign on its pole at the origin, seen from the front, sometimes from behind."""
    height = rng.uniform(2.1, 2.8)
    width = rng.uniform(0.65, 0.9)
    plate = _plate(rng, width, density)
    front = upright(
        (-width / 2, -0.06), (width / 2, -0.06), height, height + width, plate, TRAFFIC_SIGN
    )
    return [_bar(rng, 0, height + 0.5 * width, 0.08, _METAL), front]


def _plate(rng: np.random.Generator, width: float, density: float) -> Texture:
    sheet = Painter(width, width, density, _WHITE)
    middle, r = (width / 2, width / 2), width / 2
    kind = rng.integers(6)
    if kind == 0:  # a prohibition
        sheet.disc(middle, r, _RED)
        sheet.disc(middle, 0.72 * r, _WHITE)
        sheet.box(0.6 * r, 0.7 * r, 1.4 * r, 1.3 * r, (40, 40, 40))
    elif kind == 1:  # a warning
        for scale, colour in ((1.0, _RED), (0.62, _WHITE)):
            corners = [math.radians(angle) for angle in (90, 210, 330)]
            points = [
                (r + scale * r * math.cos(a), 0.75 * r + scale * r * math.sin(a)) for a in corners
            ]
            sheet.polygon(points, colour)
        sheet.box(0.9 * r, 0.5 * r, 1.1 * r, 1.1 * r, (30, 30, 30))
    elif kind == 2:  # an order
        sheet.disc(middle, r, _BLUE)
        sheet.stroke([(r, 0.5 * r), (r, 1.5 * r)], 0.2 * r, _WHITE)
    elif kind == 3:  # the priority road
        sheet.polygon([(r, 0), (2 * r, r), (r, 2 * r), (0, r)], _WHITE)
        sheet.polygon([(r, 0.4 * r), (1.6 * r, r), (r, 1.6 * r), (0.4 * r, r)], (225, 180, 40))
    elif kind == 4:  # a direction
        sheet.box(0, 0.3 * r, 2 * r, 1.7 * r, _BLUE if rng.random() < 0.5 else (220, 190, 50))
        sheet.box(0.3 * r, 0.8 * r, 1.6 * r, 1.0 * r, _WHITE)
        sheet.box(0.3 * r, 1.2 * r, 1.2 * r, 1.4 * r, _WHITE)
    else:  # from behind
        sheet.disc(middle, r, (140, 142, 145))
    return sheet.texture


def wall(
    rng: np.random.Generator,
    start: tuple[float, float],
    end: tuple[float, float],
    height: float,
    density: float,
    grain: float,
    colour: Colour,
) -> Face:
    """A garden wall of stone or brick, with a coping."""
    length = math.hypot(end[0] - start[0], end[1] - start[1])
    shape = (max(2, round(height * density)), max(2, round(length * density)))
    y = height - (np.arange(shape[0]) + 0.5) * height / shape[0]
    x = (np.arange(shape[1]) + 0.5) * length / shape[1]
    course = rng.uniform(0.2, 0.45)
    row = np.floor(y / course)
    joint = ((y % course) < 0.15 * course)[:, None]
    joint = joint | (((x + 0.5 * row[:, None] * 2 * course) % (2 * course)) < 0.1 * course)
    noise = 0.4 * smooth_noise(rng, shape, 0.8 * density, 4)
    noise -= 0.3 * joint + 0.2 * np.exp(-y / 0.3)[:, None]
    colours = np.array(colour, np.float32) * (1 + grain * noise[..., None])
    colours[y > height - 0.12] *= 1.25
    return upright(start, end, 0.0, height, opaque(colours), WALL)


def fence(
    rng: np.random.Generator,
    start: tuple[float, float],
    end: tuple[float, float],
    height: float,
    density: float,
) -> Face:
    """A fence of pales or bars that one can see through."""
    length = math.hypot(end[0] - start[0], end[1] - start[1])
    colour = jitter(rng, ((130, 95, 62), (70, 74, 76), (200, 198, 190))[rng.integers(3)], 0.2)
    sheet = Painter(length, height, density, colour)
    pitch = rng.uniform(0.16, 0.3)
    thickness = pitch * rng.uniform(0.45, 0.75)
    for left in np.arange(0.0, length - thickness, pitch).tolist():
        sheet.box(left, 0, left + thickness, height * 0.97, jitter(rng, colour, 0.15))
    for level in (0.2, 0.8):
        sheet.box(0, (level - 0.05) * height, length, (level + 0.05) * height, colour)
    return upright(start, end, 0.0, height, sheet.texture, FENCE)


def bin_or_box(rng: np.random.Generator, density: float) -> tuple[list[Face], float]:
    """A bin or a switch box at the origin, and its width: no evaluated class, hence ignored."""
    width, height = rng.uniform(0.5, 1.0), rng.uniform(0.9, 1.4)
    colour = jitter(rng, ((60, 70, 62), (40, 70, 120), (140, 140, 135))[rng.integers(3)], 0.3)
    half, deep = width / 2, width / 2
    faces = []
    for start, end, wide in (
        ((-half, -deep), (half, -deep), width),
        ((-half, -deep), (-half, deep), 2 * deep),
        ((half, -deep), (half, deep), 2 * deep),
    ):
        sheet = Painter(wide, height, density, colour)
        sheet.box(0, 0, wide, height, colour)
        sheet.box(0, 0.85 * height, wide, height, jitter(rng, (50, 50, 50), 0.5))
        sheet.grain(rng, 0.1)
        faces.append(upright(start, end, 0, height, sheet.texture, IGNORE))
    return faces, width
