"""Persons, riders, bicycles and motorcycles: flat figures, upright where they stand."""

from __future__ import annotations

import numpy as np

from mtl_cuda.data.synth.classes import BICYCLE, MOTORCYCLE, PERSON, RIDER
from mtl_cuda.data.synth.geometry import Face, upright
from mtl_cuda.data.synth.paint import Colour, Painter, jitter, mix

_SKINS: tuple[Colour, ...] = ((224, 180, 150), (190, 140, 105), (120, 82, 60), (236, 196, 168))
_CLOTHES: tuple[Colour, ...] = (
    (40, 44, 60), (30, 30, 32), (140, 40, 44), (60, 84, 130), (180, 172, 160), (70, 92, 64),
    (200, 160, 60), (110, 80, 110), (225, 225, 225), (96, 72, 52), (120, 122, 126),
)  # fmt: skip
_HAIR: tuple[Colour, ...] = ((40, 30, 24), (90, 62, 38), (170, 136, 84), (120, 118, 116))
_TYRE: Colour = (30, 30, 32)


def _any(rng: np.random.Generator, colours: tuple[Colour, ...], amount: float = 0.25) -> Colour:
    return jitter(rng, colours[rng.integers(len(colours))], amount)


def person(rng: np.random.Generator, density: float, grain: float) -> tuple[list[Face], float]:
    """A person on foot who stands at the origin, and the height in metres."""
    height = rng.normal(1.72, 0.09) if rng.random() < 0.88 else rng.uniform(1.0, 1.4)
    width = 0.56 * height
    coat, trousers = _any(rng, _CLOTHES), _any(rng, _CLOTHES)
    sheet = Painter(width, height, density, coat)
    k, m = height / 1.75, width / 2
    stride, away = rng.uniform(0.03, 0.24) * k, rng.random() < 0.5

    def at(x: float, y: float) -> tuple[float, float]:
        return m + x * k, y * k

    for side in (-1, 1):
        foot = (m + side * (0.07 * k + stride / 2), 0.06 * k)
        sheet.stroke([at(0.08 * side, 0.86), foot], 0.15 * k, trousers)
        sheet.box(foot[0] - 0.08 * k, 0, foot[0] + 0.08 * k, 0.07 * k, _any(rng, _HAIR))
    hem = float(rng.choice([0.8, 0.8, 0.55]))  # jacket, or a long coat
    shoulders = [at(-0.22, 1.4), at(-0.1, 1.48), at(0.1, 1.48), at(0.22, 1.4)]
    sheet.polygon([*shoulders, at(0.18, hem), at(-0.18, hem)], coat)
    for side in (-1, 1):
        hand = at(side * rng.uniform(0.24, 0.36), rng.uniform(0.78, 0.95))
        sheet.stroke([at(0.22 * side, 1.38), hand], 0.1 * k, mix(coat, (0, 0, 0), 0.2))
        sheet.disc(hand, 0.05 * k, _any(rng, _SKINS, 0.1))
    if rng.random() < 0.35:  # a bag or a rucksack
        left, low = rng.uniform(-0.32, 0.1), rng.uniform(0.75, 1.05)
        sheet.polygon([at(left, low), at(left + 0.24, low), at(left + 0.24, low + 0.32),
                       at(left, low + 0.32)], _any(rng, _CLOTHES))  # fmt: skip
    _head(rng, sheet, at(0, 1.6), k, away)
    sheet.grain(rng, 0.15 * grain, 0.15)
    return [upright((-m, 0), (m, 0), 0, height, sheet.texture, PERSON)], height


def _head(
    rng: np.random.Generator,
    sheet: Painter,
    centre: tuple[float, float],
    k: float,
    away: bool,
    helmet: Colour | None = None,
) -> None:
    x, y = centre
    skin, hair = _any(rng, _SKINS, 0.1), helmet or _any(rng, _HAIR)
    sheet.box(x - 0.05 * k, y - 0.16 * k, x + 0.05 * k, y, skin)
    sheet.disc((x, y), 0.1 * k, hair if away else skin, 1.3)
    sheet.disc((x, y + 0.06 * k), 0.105 * k, hair, 0.8)


def two_wheeler(
    rng: np.random.Generator,
    density: float,
    grain: float,
    motor: bool,
    ridden: bool,
    lengthwise: bool,
) -> tuple[list[Face], list[Face]]:
    """A bicycle or motorcycle at the origin and, if `ridden`, the figure on it.

    Args:
        rng: source of chance.
        density: texture pixels per metre.
        grain: strength of the grain.
        motor: a motorcycle instead of a bicycle.
        ridden: whether somebody sits on it.
        lengthwise: seen from behind or in front instead of from the side.

    Returns:
        faces of the vehicle, and of the rider (empty if not ridden).
    """
    label = MOTORCYCLE if motor else BICYCLE
    draw = _cycle_end if lengthwise else _cycle_side
    sheet = draw(rng, density, motor)
    sheet.grain(rng, 0.1 * grain, 0.1)
    half = 0.3 if lengthwise else 0.95
    vehicle = [upright((-half, 0), (half, 0), 0, 1.15, sheet.texture, label)]
    if not ridden:
        return vehicle, []
    figure = _rider_end(rng, density) if lengthwise else _rider_side(rng, density)
    figure.grain(rng, 0.15 * grain, 0.15)
    half = 0.4 if lengthwise else 0.6
    # In front of the vehicle by a hand's breadth, as legs and arms are.
    rider = upright((-half, -0.08), (half, -0.08), 0, 1.9, figure.texture, RIDER)
    return vehicle, [rider]


def _cycle_side(rng: np.random.Generator, density: float, motor: bool) -> Painter:
    paint = jitter(rng, _CLOTHES[rng.integers(len(_CLOTHES))], 0.4)
    sheet = Painter(1.9, 1.15, density, (70, 72, 75))
    radius = 0.32 if motor else 0.35
    rear, front, bar = (0.4, radius), (1.5, radius), 0.14 if motor else 0.06
    for hub in (rear, front):
        sheet.disc(hub, radius, _TYRE)
        sheet.disc(hub, (0.5 if motor else 0.84) * radius, (110, 112, 115))
        sheet.disc(hub, 0.18 * radius, _TYRE)
    pedal, seat, head = (0.9, 0.32), (0.72, 0.88), (1.33, 0.86)
    if motor:
        tank = [
            (0.45, 0.6),
            (0.6, 0.82),
            (1.0, 0.8),
            (1.3, 0.95),
            (1.4, 0.7),
            (1.1, 0.35),
            (0.7, 0.3),
        ]
        sheet.polygon(tank, paint)
        sheet.box(0.4, 0.74, 1.0, 0.86, _TYRE)
    for line in ([rear, pedal, head, seat, rear], [pedal, seat], [front, head, (1.3, 1.06)]):
        sheet.stroke(line, bar, paint)
    sheet.stroke([(1.18, 1.06), (1.36, 1.06)], 0.06, _TYRE)
    sheet.stroke([(0.6, 0.93), (0.84, 0.93)], 0.09, _TYRE)
    return sheet


def _cycle_end(rng: np.random.Generator, density: float, motor: bool) -> Painter:
    paint = jitter(rng, _CLOTHES[rng.integers(len(_CLOTHES))], 0.4)
    sheet = Painter(0.6, 1.15, density, paint)
    half = 0.1 if motor else 0.04
    sheet.box(0.3 - half, 0, 0.3 + half, 0.68, _TYRE)
    if motor:
        sheet.box(0.14, 0.38, 0.46, 0.85, paint)
    sheet.box(0.3 - half, 0.5, 0.3 + half, 1.0, paint)
    sheet.stroke([(0.05, 1.04), (0.55, 1.04)], 0.06, (60, 60, 62))
    sheet.disc((0.3, 0.72), 0.06, (190, 30, 30) if rng.random() < 0.5 else (235, 235, 220))
    return sheet


def _rider_side(rng: np.random.Generator, density: float) -> Painter:
    """Drawn for the side view of the cycle: its sheet is 0.35 m narrower on either side."""
    coat, trousers = _any(rng, _CLOTHES), _any(rng, _CLOTHES)
    sheet = Painter(1.2, 1.9, density, coat)
    hip, shoulder, knee = (0.4, 0.98), (0.66, 1.5), (0.72, 0.66)
    sheet.stroke([hip, (0.6, 0.62), (0.5, 0.2)], 0.15, mix(trousers, (0, 0, 0), 0.3))
    sheet.stroke([hip, knee, (0.6, 0.26)], 0.17, trousers)
    sheet.box(0.54, 0.18, 0.8, 0.27, _TYRE)
    sheet.polygon([(0.28, 0.94), (0.54, 0.9), (0.82, 1.42), (0.58, 1.58)], coat)
    sheet.stroke([shoulder, (0.86, 1.2), (0.98, 1.08)], 0.11, mix(coat, (0, 0, 0), 0.2))
    helmet = jitter(rng, (190, 190, 190), 0.5) if rng.random() < 0.6 else None
    _head(rng, sheet, (0.76, 1.7), 1.0, False, helmet)
    return sheet


def _rider_end(rng: np.random.Generator, density: float) -> Painter:
    coat, trousers = _any(rng, _CLOTHES), _any(rng, _CLOTHES)
    sheet = Painter(0.8, 1.9, density, coat)
    for side in (-1, 1):
        drop = rng.uniform(0.2, 0.4)
        sheet.stroke([(0.4 + 0.1 * side, 0.95), (0.4 + 0.16 * side, drop)], 0.15, trousers)
        sheet.box(0.4 + 0.16 * side - 0.06, drop - 0.1, 0.4 + 0.16 * side + 0.06, drop, _TYRE)
    torso = [(0.17, 1.45), (0.3, 1.56), (0.5, 1.56), (0.63, 1.45), (0.57, 0.88), (0.23, 0.88)]
    sheet.polygon(torso, coat)
    for side in (-1, 1):
        arm = [(0.4 + 0.22 * side, 1.42), (0.4 + 0.3 * side, 1.15), (0.4 + 0.22 * side, 1.06)]
        sheet.stroke(arm, 0.1, mix(coat, (0, 0, 0), 0.2))
    helmet = jitter(rng, (190, 190, 190), 0.5) if rng.random() < 0.6 else None
    _head(rng, sheet, (0.4, 1.68), 1.0, rng.random() < 0.6, helmet)
    return sheet
