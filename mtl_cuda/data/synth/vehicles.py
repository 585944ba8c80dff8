"""Cars, trucks, buses and trams: side outlines swept across the vehicle's width."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from mtl_cuda.data.synth.classes import BUS, CAR, TRAIN, TRUCK
from mtl_cuda.data.synth.geometry import Face, Texture
from mtl_cuda.data.synth.paint import Colour, Painter, Point, jitter, mix

_PAINTS: tuple[Colour, ...] = (
    (205, 206, 208), (150, 152, 155), (95, 97, 100), (38, 39, 42), (38, 39, 42), (120, 28, 30),
    (35, 60, 110), (50, 84, 66), (170, 150, 115), (190, 60, 30), (70, 110, 160), (225, 225, 222),
)  # fmt: skip
_GLASS: Colour = (46, 54, 62)
_TYRE: Colour = (24, 24, 25)


@dataclass(frozen=True)
class Shape:
    """The make of a vehicle.

    Attributes:
        label: trainId.
        length: range in metres; likewise `width` and `height`.
        belt: height from which the sides lean inwards, as a fraction of the height.
        lean: how far the roof's edge lies inside the side, in metres.
        outline: the side's outline from the rear bumper over the roof to the front bumper, each
            point as (fraction of the length from the rear, fraction of the height).
        finish: what each edge of the outline shows: "tail", "nose", "glass" or "paint".
        windows: spans (from, to, bottom, top) of the side windows, as fractions.
        wheels: places of the axles as fractions of the length.
        radius: of the wheels in metres.
    """

    label: int
    length: tuple[float, float]
    width: tuple[float, float]
    height: tuple[float, float]
    belt: float
    lean: float
    outline: tuple[Point, ...]
    finish: tuple[str, ...]
    windows: tuple[tuple[float, float, float, float], ...]
    wheels: tuple[float, ...]
    radius: float = 0.32


_CARS = (
    Shape(  # hatchback
        CAR, (3.8, 4.3), (1.7, 1.8), (1.44, 1.54), 0.62, 0.14,
        ((0.0, 0.2), (0.0, 0.62), (0.09, 0.97), (0.55, 1.0), (0.75, 0.64), (0.97, 0.52), (1, 0.2)),
        ("tail", "glass", "paint", "glass", "paint", "nose"),
        ((0.1, 0.34, 0.66, 0.93), (0.37, 0.67, 0.66, 0.93)), (0.19, 0.81),
    ),
    Shape(  # saloon
        CAR, (4.4, 4.8), (1.75, 1.85), (1.4, 1.48), 0.64, 0.15,
        ((0.0, 0.2), (0.0, 0.62), (0.14, 0.67), (0.28, 0.97), (0.56, 1.0), (0.74, 0.66),
         (0.97, 0.54), (1, 0.2)),
        ("tail", "paint", "glass", "paint", "glass", "paint", "nose"),
        ((0.24, 0.44, 0.68, 0.93), (0.46, 0.69, 0.68, 0.93)), (0.2, 0.81),
    ),
    Shape(  # estate or sports utility
        CAR, (4.5, 4.8), (1.8, 1.9), (1.55, 1.75), 0.6, 0.14,
        ((0.0, 0.22), (0.0, 0.6), (0.05, 0.97), (0.6, 1.0), (0.76, 0.66), (0.98, 0.58), (1, 0.22)),
        ("tail", "glass", "paint", "glass", "paint", "nose"),
        ((0.06, 0.2, 0.64, 0.93), (0.22, 0.43, 0.64, 0.93), (0.45, 0.68, 0.64, 0.93)),
        (0.19, 0.81), 0.36,
    ),
    Shape(  # van
        CAR, (4.7, 5.4), (1.85, 1.95), (1.9, 2.2), 0.55, 0.1,
        ((0.0, 0.18), (0.0, 0.55), (0.02, 0.98), (0.72, 1.0), (0.9, 0.58), (1, 0.46), (1, 0.18)),
        ("tail", "glass", "paint", "glass", "paint", "nose"),
        ((0.62, 0.82, 0.6, 0.9),), (0.18, 0.82), 0.34,
    ),
)  # fmt: skip
_CAB = Shape(
    TRUCK, (1.9, 2.3), (2.35, 2.5), (2.6, 3.1), 0.6, 0.05,
    ((0, 0.2), (0, 1.0), (0.8, 1.0), (0.95, 0.55), (1, 0.2)),
    ("paint", "paint", "glass", "nose"), ((0.3, 0.85, 0.58, 0.88),), (0.55,), 0.48,
)  # fmt: skip
_BOX = Shape(
    TRUCK, (4.5, 7.0), (2.4, 2.5), (3.2, 3.8), 0.9, 0.0,
    ((0, 0.22), (0, 1.0), (1.0, 1.0), (1.0, 0.22)), ("tail", "paint", "paint"), (), (0.2, 0.36),
    0.48,
)  # fmt: skip
_BUS = Shape(
    BUS, (10.0, 12.0), (2.5, 2.55), (2.9, 3.2), 0.9, 0.03,
    ((0, 0.1), (0, 0.42), (0, 1.0), (0.99, 1.0), (1.0, 0.36), (1.0, 0.1)),
    ("tail", "glass", "paint", "glass", "nose"),
    tuple((0.03 + 0.12 * i, 0.14 + 0.12 * i, 0.42, 0.8) for i in range(8)), (0.27, 0.8), 0.48,
)  # fmt: skip
_TRAM = Shape(
    TRAIN, (20.0, 28.0), (2.4, 2.6), (3.3, 3.6), 0.9, 0.05,
    ((0, 0.06), (0.0, 0.4), (0.03, 1.0), (0.97, 1.0), (1.0, 0.4), (1.0, 0.06)),
    ("tail", "glass", "paint", "glass", "nose"),
    tuple((0.04 + 0.077 * i, 0.11 + 0.077 * i, 0.4, 0.78) for i in range(12)), (0.15, 0.5, 0.85),
    0.3,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Vehicle:
    """A vehicle around the origin, its front towards +z.

    Attributes:
        faces: its surfaces, all of one class.
        width: in metres; likewise `length` and `height`.
    """

    faces: list[Face]
    width: float
    length: float
    height: float


def car(rng: np.random.Generator, density: float, grain: float) -> Vehicle:
    """A car or a van."""
    shape = _CARS[rng.choice(len(_CARS), p=[0.34, 0.28, 0.24, 0.14])]
    return _build(rng, shape, density, grain, jitter(rng, _PAINTS[rng.integers(len(_PAINTS))], 0.2))


def large_vehicle(rng: np.random.Generator, density: float, grain: float) -> Vehicle:
    """A truck, a bus or, more rarely, a tram."""
    kind = rng.choice(3, p=[0.45, 0.4, 0.15])
    colour = jitter(rng, ((190, 50, 40), (215, 190, 60), (225, 225, 225), (50, 90, 150))[
        rng.integers(4)], 0.2)  # fmt: skip
    if kind:
        return _build(rng, (_BUS, _TRAM)[kind - 1], density, grain, colour)
    cab = _build(rng, _CAB, density, grain, colour)
    canvas = mix(colour, (225, 224, 220), float(rng.choice([0.0, 0.5, 1.0])))
    box = _build(rng, _BOX, density, grain, canvas)
    length = cab.length + box.length + 0.15
    front = _moved(cab.faces, (length - cab.length) / 2)
    back = _moved(box.faces, (box.length - length) / 2)
    return Vehicle(front + back, box.width, length, box.height)


def _moved(faces: list[Face], z: float) -> list[Face]:
    shift = np.array([0.0, 0.0, z])
    return [
        Face(face.origin + shift, face.across, face.down, face.texture, face.label)
        for face in faces
    ]


def _build(
    rng: np.random.Generator, shape: Shape, density: float, grain: float, colour: Colour
) -> Vehicle:
    spans = (shape.length, shape.width, shape.height)
    length, width, height = (rng.uniform(*span) for span in spans)
    picture = _side(rng, shape, length, height, density, grain, colour)
    faces = _sides(shape, picture, length, width, height)
    points = [((f - 0.5) * length, h * height) for f, h in shape.outline]
    for (first, second), finish in zip(itertools.pairwise(points), shape.finish):
        top, bottom = (first, second) if first[1] >= second[1] else (second, first)
        if finish in ("tail", "nose"):
            bottom = (bottom[0], 0.0)  # down to the road: the tyres show below the bumper
        wide, narrow = (_width_at(shape, width, end[1] / height) for end in (bottom, top))
        down = np.array([0.0, bottom[1] - top[1], bottom[0] - top[0]])
        sheet = Painter(wide, float(np.linalg.norm(down)), density, colour)
        _paint_end(rng, sheet, finish, wide, narrow, float(np.linalg.norm(down)), colour, shape)
        sheet.grain(rng, 0.05 * grain, 0.15)
        origin = np.array([-wide / 2, top[1], top[0]])
        faces.append(Face(origin, np.array([wide, 0, 0.0]), down, sheet.texture, shape.label))
    return Vehicle(faces, width, length, height)


def _width_at(shape: Shape, width: float, level: float) -> float:
    """Width at a fraction of the height: full up to the belt, then narrowing to the roof."""
    return width - 2 * shape.lean * max(0.0, (level - shape.belt) / (1 - shape.belt))


def _sides(
    shape: Shape, picture: Texture, length: float, width: float, height: float
) -> list[Face]:
    """Both sides, each of an upright part and a leaning one above the belt."""
    cut = round((1 - shape.belt) * picture.shape[0])
    belt = height * (1 - cut / picture.shape[0])
    along = np.array([0.0, 0.0, length])
    faces = []
    for side in (-1, 1):
        x = side * width / 2
        roof = np.array([x - side * shape.lean, height, -length / 2])
        lean = np.array([side * shape.lean, belt - height, 0.0])
        low, fall = np.array([x, belt, -length / 2]), np.array([0.0, -belt, 0.0])
        faces.append(Face(roof, along, lean, picture[:cut], shape.label))
        faces.append(Face(low, along, fall, picture[cut:], shape.label))
    return faces


def _side(
    rng: np.random.Generator,
    shape: Shape,
    length: float,
    height: float,
    density: float,
    grain: float,
    colour: Colour,
) -> Texture:
    """The picture of a side, rear on the left."""
    sheet = Painter(length, height, density, colour)
    sheet.polygon([(f * length, h * height) for f, h in shape.outline], colour)
    sill = shape.outline[0][1] * height
    sheet.box(0.02 * length, sill, 0.98 * length, sill + 0.06 * height, mix(colour, _TYRE, 0.7))
    if not shape.windows or shape.label in (BUS, TRAIN):  # a stripe on large plain sides
        stripe = jitter(rng, _PAINTS[rng.integers(len(_PAINTS))], 0.3)
        low = rng.uniform(0.25, 0.32)
        sheet.box(0, low * height, length, (low + rng.uniform(0.04, 0.1)) * height, stripe)
    for left, right, bottom, top in shape.windows:
        slant = 0.05 if shape.label == CAR else 0.0
        corners = [(left - slant, bottom), (right + slant, bottom), (right - slant, top)]
        corners.append((left + slant, top))
        sheet.polygon([(f * length, h * height) for f, h in corners], jitter(rng, _GLASS, 0.3))
    for door in (0.4, 0.66) if shape.label == CAR else ():
        line = [(door * length, sill + 0.1), (door * length, shape.belt * height)]
        sheet.stroke(line, 0.02, mix(colour, _TYRE, 0.6))
    for axle in shape.wheels:
        sheet.disc((axle * length, shape.radius + 0.03), shape.radius + 0.06, _TYRE)
        sheet.disc((axle * length, shape.radius), 0.6 * shape.radius, (125, 126, 128))
    sheet.grain(rng, 0.05 * grain, 0.15)
    return sheet.texture


def _paint_end(
    rng: np.random.Generator,
    sheet: Painter,
    finish: str,
    wide: float,
    narrow: float,
    rise: float,
    colour: Colour,
    shape: Shape,
) -> None:
    """What one sees of an edge of the outline: `wide` at its bottom, `narrow` at its top."""
    inset = (wide - narrow) / 2
    corners = [(0.0, 0.0), (wide, 0.0), (wide - inset, rise), (inset, rise)]
    if finish == "glass":
        sheet.polygon(corners, colour)
        pane = [(0.07 * wide, 0.06 * rise), (0.93 * wide, 0.06 * rise),
                (0.92 * wide - inset, 0.92 * rise), (0.08 * wide + inset, 0.92 * rise)]  # fmt: skip
        sheet.polygon(pane, jitter(rng, _GLASS, 0.3))
        shine = [(0.2 * wide, 0.5 * rise), (0.5 * wide, 0.5 * rise), (0.55 * wide, 0.85 * rise),
                 (0.25 * wide, 0.85 * rise)]  # fmt: skip
        sheet.polygon(shine, jitter(rng, (88, 98, 108), 0.3))
        return
    if finish == "paint":
        sheet.polygon(corners, colour)
        return
    clear = shape.outline[0][1] / shape.outline[1][1] * rise
    sheet.box(0.06 * wide, 0, 0.2 * wide, clear + 0.02, _TYRE)
    sheet.box(0.8 * wide, 0, 0.94 * wide, clear + 0.02, _TYRE)
    sheet.polygon([(0, clear), (wide, clear), (wide - inset, rise), (inset, rise)], colour)
    body = rise - clear
    sheet.box(0, clear, wide, clear + 0.25 * body, mix(colour, (40, 40, 42), 0.5))
    lights: Colour = (165, 22, 24) if finish == "tail" else (232, 232, 220)
    high = min(0.25 * body, 0.2)
    low = clear + 0.55 * body
    for left, right in ((0.03, 0.2), (0.8, 0.97)):
        sheet.box(left * wide, low, right * wide, low + high, lights)
    if finish == "nose":
        sheet.box(0.27 * wide, clear + 0.35 * body, 0.73 * wide, clear + 0.7 * body, (30, 31, 33))
    plate = clear + (0.3 if finish == "tail" else 0.15) * body
    sheet.box(0.36 * wide, plate, 0.64 * wide, plate + 0.12, (215, 214, 205))
