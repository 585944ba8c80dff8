"""Houses: fronts with rows of windows, shops, end walls and roofs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mtl_cuda.data.synth.classes import BUILDING
from mtl_cuda.data.synth.config import SynthConfig
from mtl_cuda.data.synth.geometry import Face, Texture, upright
from mtl_cuda.data.synth.paint import Colour, Painter, jitter, mix, opaque, smooth_noise

_WALLS: tuple[Colour, ...] = (
    (196, 180, 150), (170, 110, 84), (150, 150, 150), (205, 200, 190), (188, 158, 110),
    (140, 120, 105), (120, 124, 130), (214, 190, 140), (165, 130, 115), (130, 140, 125),
)  # fmt: skip
_ROOFS: tuple[Colour, ...] = ((130, 70, 52), (92, 88, 88), (110, 84, 70), (70, 72, 80))
_SHOPS: tuple[Colour, ...] = (
    (180, 40, 40), (40, 80, 150), (40, 120, 70), (200, 160, 40), (60, 60, 65), (190, 190, 190),
)  # fmt: skip
_GREY: Colour = (128, 126, 122)
_Colours = npt.NDArray[np.float32]


def wall_colour(rng: np.random.Generator, ambiguity: float) -> Colour:
    """A plaster, brick or concrete colour, drawn towards grey by `ambiguity` (0..1)."""
    return mix(jitter(rng, _WALLS[rng.integers(len(_WALLS))], 0.2), _GREY, ambiguity)


class Plot(NamedTuple):
    """The block that a house fills beside the street, in metres.

    Attributes:
        front: x of the front; `back` x of the back, farther from the street.
        near: z where it begins; `far` z where it ends.
        height: of the walls.
    """

    front: float
    back: float
    near: float
    far: float
    height: float


def house(
    rng: np.random.Generator, plot: Plot, density: float, config: SynthConfig, pitched: bool
) -> list[Face]:
    """A house beside the street: its front, the end wall that one sees coming, maybe its roof.

    Args:
        rng: source of chance.
        plot: where it stands.
        density: texture pixels per metre.
        config: the knobs.
        pitched: whether it has a roof with tiles, its ridge along the street.
    """
    front, back, near, far, height = plot
    colour = wall_colour(rng, config.colour_ambiguity)
    picture = facade(rng, far - near, height, density, config.texture, colour)
    depth = abs(back - front)
    side = facade(rng, depth, height, density / 2, config.texture, colour, plain=True)
    faces = [
        upright((front, near), (front, far), 0.0, height, picture, BUILDING),
        upright((front, near), (back, near), 0.0, height, side, BUILDING),
    ]
    return faces + (_roof(rng, plot, density, config.texture, colour) if pitched else [])


def _roof(
    rng: np.random.Generator, plot: Plot, density: float, grain: float, colour: Colour
) -> list[Face]:
    """The roof's slope to the street and the gable over the end wall."""
    front, back, near, far, height = plot
    half = (back - front) / 2
    width = 2 * abs(half)
    rise = width * rng.uniform(0.3, 0.5)
    slope = Face(
        np.array([front + half, height + rise, near]),
        np.array([0.0, 0.0, far - near]),
        np.array([-half, -rise, 0.0]),
        _tiles(rng, far - near, float(np.hypot(half, rise)), density, grain),
        BUILDING,
    )
    gable = Painter(width, rise, density, colour)
    gable.polygon([(0, 0), (width, 0), (width / 2, rise)], colour)
    gable.grain(rng, 0.15 * grain, 0.5)
    end = upright((front, near), (back, near), height, height + rise, gable.texture, BUILDING)
    return [slope, end]


def _tiles(
    rng: np.random.Generator, width: float, height: float, density: float, grain: float
) -> Texture:
    shape = (max(2, round(height * density)), max(2, round(width * density)))
    rows = np.arange(shape[0]) * height / shape[0]
    shade = 1 - 0.35 * grain * ((rows % 0.35) < 0.08)
    noise = smooth_noise(rng, shape, 0.3 * density, 3)
    base = np.array(jitter(rng, _ROOFS[rng.integers(len(_ROOFS))], 0.15), np.float32)
    return opaque(base * (shade[:, None] * (1 + 0.3 * grain * noise))[..., None])


def facade(
    rng: np.random.Generator,
    width: float,
    height: float,
    density: float,
    grain: float,
    colour: Colour,
    plain: bool = False,
) -> Texture:
    """The picture of a front, `width` by `height` metres; `plain` without shops, few windows."""
    shape = (max(2, round(height * density)), max(2, round(width * density)))
    x = (np.arange(shape[1]) + 0.5) * width / shape[1]
    y = height - (np.arange(shape[0]) + 0.5) * height / shape[0]
    colours = _plaster(rng, shape, y, density, grain, colour)
    ground = min(rng.uniform(3.0, 4.2), 0.5 * height)
    trim = np.array(mix(colour, (235, 232, 225), 0.6) if rng.random() < 0.6 else (80, 75, 70))
    colours[(y > height - 0.35) | (np.abs(y - ground) < 0.12)] = trim
    _windows(rng, colours, x, y, width, height, ground, trim, plain)
    if not plain:
        if rng.random() < 0.55:
            _shop(rng, colours, x, y, width, ground)
        else:
            _door(rng, colours, x, y, width)
    return opaque(colours)


def _plaster(
    rng: np.random.Generator,
    shape: tuple[int, int],
    y: npt.NDArray[np.float64],
    density: float,
    grain: float,
    colour: Colour,
) -> _Colours:
    noise = 0.1 * smooth_noise(rng, shape, 4.0 * density, 2)
    noise += rng.uniform(0.15, 0.3) * smooth_noise(rng, shape, 0.2 * density, 3)
    if rng.random() < 0.4:  # courses of brick or stone
        course = rng.uniform(0.25, 0.6)
        noise -= 0.25 * ((y % course) < 0.15 * course)[:, None]
    stain = 1 - 0.25 * np.exp(-y / 1.0)
    return np.array(colour, np.float32) * (stain[:, None] * (1 + grain * noise))[..., None].astype(
        np.float32
    )


def _windows(
    rng: np.random.Generator,
    colours: _Colours,
    x: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
    width: float,
    height: float,
    ground: float,
    trim: npt.NDArray[np.float64],
    plain: bool,
) -> None:
    """A regular grid of windows above the ground floor, each with its own glass."""
    storeys = int((height - ground - 0.4) / rng.uniform(2.7, 3.4))
    bays = max(1, round(width / rng.uniform(1.7, 3.4) * (0.35 if plain else 1.0)))
    if storeys < 1:
        return
    storey = (height - ground - 0.4) / storeys
    share_x = rng.uniform(0.2, 0.4) if plain else rng.choice([0.4, 0.5, 0.6, 0.96])
    share_y = rng.uniform(0.4, 0.72)
    column, u = np.divmod(x / (width / bays), 1.0)
    row, v = np.divmod((y - ground) / storey, 1.0)
    level, u, v = v, np.abs(u - 0.5), np.abs(v - 0.5)
    above = (row >= 0) & (row < storeys)
    colours[np.ix_((v < share_y / 2 + 0.06) & above, u < share_x / 2 + 0.05)] = trim

    # Dark rooms, curtains, and the sky mirrored, from pane to pane.
    panes = rng.choice(
        [25.0, 45.0, 60.0, 90.0, 150.0], (storeys, bays), p=[0.3, 0.3, 0.2, 0.1, 0.1]
    )
    tint = np.array([0.85, 1.0, 1.15]) + rng.uniform(-0.1, 0.1, 3)
    rows = np.flatnonzero((v < share_y / 2) & above)
    columns = np.flatnonzero((u < share_x / 2) & (u > 0.012))
    pane = panes[np.ix_(row[rows].astype(int), np.minimum(column[columns], bays - 1).astype(int))]
    colours[np.ix_(rows, columns)] = (pane * (0.7 + 0.6 * level[rows, None]))[..., None] * tint


def _shop(
    rng: np.random.Generator,
    colours: _Colours,
    x: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
    width: float,
    ground: float,
) -> None:
    """Shop windows with displays, and a sign above them in the shop's colour."""
    shops = max(1, round(width / rng.uniform(5, 9)))
    for shop in range(shops):
        left, right = shop * width / shops, (shop + 1) * width / shops
        inside = (x > left + 0.3) & (x < right - 0.3)
        sign = jitter(rng, _SHOPS[rng.integers(len(_SHOPS))], 0.3)
        colours[np.ix_((y > 0.75 * ground) & (y < 0.95 * ground), inside)] = sign
        letters = inside & (((x - left) % 0.5) < 0.3) & (np.abs(x - (left + right) / 2) < width / 6)
        colours[np.ix_((y > 0.8 * ground) & (y < 0.9 * ground), letters)] = 235
        goods = rng.uniform(20, 120, (6, 24, 1)) * rng.uniform(0.7, 1.15, (6, 24, 3))
        rows = np.flatnonzero((y > 0.5) & (y < 0.72 * ground))
        columns = np.flatnonzero(inside & (((x - left) % 2.4) > 0.12))
        shelves = (y[rows] / ground * 6).astype(int)
        places = ((x[columns] - left) / (right - left) * 24).astype(int)
        colours[np.ix_(rows, columns)] = goods[np.ix_(shelves, places)]


def _door(
    rng: np.random.Generator,
    colours: _Colours,
    x: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
    width: float,
) -> None:
    place = rng.uniform(0.2, 0.8) * width
    colours[np.ix_(y < 2.5, np.abs(x - place) < 0.75)] = rng.uniform(170, 220)
    colours[np.ix_(y < 2.3, np.abs(x - place) < 0.55)] = jitter(rng, (95, 65, 50), 0.5)
    lower = (np.abs(x - place) > 1.5) & ((x % 2.8) < 1.4)
    colours[np.ix_((y > 1.0) & (y < 2.3), lower)] = rng.uniform(35, 80)
