"""What lines the street: houses, gardens, parks, trees, and what closes it at its end."""

from __future__ import annotations

import numpy as np

from mtl_cuda.data.synth import buildings, furniture, greenery
from mtl_cuda.data.synth.classes import BUILDING
from mtl_cuda.data.synth.geometry import Face, upright
from mtl_cuda.data.synth.light import Caster
from mtl_cuda.data.synth.stage import Room, Stage

_START = 3.0  # nearer surfaces at the side of the street lie outside the picture
_RATIO = 1.5  # cut long walls where the distance has grown by this: each piece gets its own detail


def build_sides(stage: Stage) -> None:
    """Build both sides of the street and its end."""
    for sign in (-1, 1):
        style = stage.street.side(sign).style
        for near, far in _stretches(stage):
            {"urban": _houses, "gardens": _gardens, "park": _park}[style](stage, sign, near, far)
        if style == "urban" and stage.rng.random() < stage.config.trees:
            _avenue(stage, sign)
    _end(stage)


def _stretches(stage: Stage) -> list[tuple[float, float]]:
    """The parts of the street before and after the cross street, as (near, far)."""
    end, crossing = stage.street.end, stage.street.crossing
    if crossing is None:
        return [(_START, end)]
    return [(_START, crossing[0] - 2.5), (crossing[1] + 2.5, end)]


def _houses(stage: Stage, sign: int, near: float, far: float) -> None:
    """House by house, rarely with a gap or a wall between them."""
    rng, edge = stage.rng, stage.street.edge(sign)
    storeys = rng.uniform(2.5, 5.5)
    while far - near > 5:
        length = min(rng.uniform(8, 20), far - near)
        front = edge + sign * float(rng.choice([0.0, 0.0, rng.uniform(0.3, 1.5)]))
        height = max(5.5, 3.1 * (storeys + rng.normal(0, 0.8)))
        _house(stage, sign, front, near, near + length, height, rng.random() < 0.3)
        near += length
        if rng.random() < 0.12 and far - near > 10:
            gap = rng.uniform(3, 6)
            _boundary(stage, edge, near, near + gap)
            near += gap


def _house(
    stage: Stage, sign: int, front: float, near: float, far: float, height: float, pitched: bool
) -> None:
    back = front + sign * stage.rng.uniform(8, 11)
    corners = np.array([[front, near], [back, near], [back, far], [front, far]])
    caster = Caster(corners, 0.0, height)
    if not stage.sees(corners):
        stage.shadows.add([caster])
        return
    plot = buildings.Plot(front, back, near, far, height)
    density = stage.wall_density(front, near)
    faces = buildings.house(stage.rng, plot, density, stage.config, pitched)
    _add_long(stage, faces[0], near, far, [caster])
    stage.add(faces[1:])


def _add_long(stage: Stage, face: Face, near: float, far: float, casters: list[Caster]) -> None:
    """Add a wall along the street, cut into pieces of not too different distances."""
    steps = max(1, round(np.log(far / near) / np.log(_RATIO)))
    ends = (near * (far / near) ** (np.arange(steps + 1) / steps) - near) / (far - near)
    stage.add(list(face.pieces(ends.tolist())), casters)


def _gardens(stage: Stage, sign: int, near: float, far: float) -> None:
    """A wall, fence or hedge along the pavement; small houses and trees behind it."""
    rng, edge = stage.rng, stage.street.edge(sign)
    place = near
    while far - place > 4:
        length = min(rng.uniform(8, 25), far - place)
        _boundary(stage, edge, place, place + length)
        place += length
    place = near + rng.uniform(0, 8)
    while far - place > 14:
        length = rng.uniform(8, 12)
        front = edge + sign * rng.uniform(3, 9)
        _house(stage, sign, front, place, place + length, rng.uniform(3.5, 6.5), True)
        _tree(stage, edge + sign * rng.uniform(2, 4), place + length + rng.uniform(2, 5))
        place += length + rng.uniform(4, 14)
    _backdrop(stage, sign, edge + sign * 16, near, far)


def _boundary(stage: Stage, x: float, near: float, far: float) -> None:
    rng, config = stage.rng, stage.config
    start, end = (x, near), (x, far)
    kind, density = rng.random(), stage.wall_density(x, near)
    if kind < 0.3:
        colour = buildings.wall_colour(rng, config.colour_ambiguity)
        height = rng.uniform(1.0, 2.4)
        face = furniture.wall(rng, start, end, height, density, config.texture, colour)
    elif kind < 0.65:
        height = rng.uniform(0.9, 1.8)
        face = furniture.fence(rng, start, end, height, density)
    else:
        height = rng.uniform(1.0, 2.5)
        face = greenery.hedge(rng, start, end, height, density, config.texture)
    corners = np.array([[x - 0.1, near], [x + 0.1, near], [x + 0.1, far], [x - 0.1, far]])
    _add_long(stage, face, near, far, [Caster(corners, 0.0, height)])


def _park(stage: Stage, sign: int, near: float, far: float) -> None:
    """A lawn with trees, and bushes behind."""
    rng, edge = stage.rng, stage.street.edge(sign)
    place = near + rng.uniform(2, 6)
    while place < far:
        _tree(stage, edge - sign * rng.uniform(-2, 2.5), place)
        place += rng.uniform(5, 12)
    _backdrop(stage, sign, edge + sign * rng.uniform(3, 8), near, far)


def _backdrop(stage: Stage, sign: int, x: float, near: float, far: float) -> None:
    """High bushes behind gardens and lawns, so that no bare horizon shows."""
    face = greenery.hedge(
        stage.rng, (x, near), (x, far), stage.rng.uniform(4, 8), stage.wall_density(x, near) / 2,
        stage.config.texture,
    )  # fmt: skip
    _add_long(stage, face, near, far, [])


def _avenue(stage: Stage, sign: int) -> None:
    """A row of trees at the kerb."""
    rng = stage.rng
    spacing = rng.uniform(8, 16)
    x = stage.street.kerb(sign) + sign * 0.8
    for z in np.arange(rng.uniform(7, 14), stage.street.end, spacing).tolist():
        if not stage.street.near_crossing(z, z, 3.0):
            _tree(stage, x, z)


def _tree(stage: Stage, x: float, z: float) -> None:
    rng = stage.rng
    room = Room(x, z, 0.4, 0.4, 0.0)
    if not stage.is_free(room):
        return
    height = rng.uniform(5, 10)
    faces, radius = greenery.tree(rng, height, stage.density(z), stage.config.texture)
    stage.put([faces], room)
    angles = np.linspace(0, 2 * np.pi, 9)[:-1]
    circle = np.stack([x + 0.9 * radius * np.cos(angles), z + 0.9 * radius * np.sin(angles)], 1)
    stage.shadows.add([Caster(circle, 0.4 * height, 0.9 * height)])


def _end(stage: Stage) -> None:
    """Close the street with houses or trees."""
    rng, z = stage.rng, stage.street.end + 6.0
    if rng.random() < 0.5:
        far = greenery.hedge(
            rng, (-70.0, z), (70.0, z), rng.uniform(6, 14), 8.0, stage.config.texture
        )
        stage.add([far])
        return
    x = -60.0
    while x < 60:
        width = rng.uniform(9, 20)
        height = rng.uniform(6, 17)
        colour = buildings.wall_colour(rng, stage.config.colour_ambiguity)
        picture = buildings.facade(
            rng, width, height, stage.density(z), stage.config.texture, colour
        )
        stage.add([upright((x, z), (x + width, z), 0.0, height, picture, BUILDING)])
        x += width
