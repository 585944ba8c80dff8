"""Collecting the objects of a scene: their places, the light on them, and their shadows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from mtl_cuda.data.synth.config import SynthConfig
from mtl_cuda.data.synth.geometry import Face, Viewpoint, footprint, placed
from mtl_cuda.data.synth.light import Caster, Light, ShadowMap
from mtl_cuda.data.synth.street import Street


@dataclass(frozen=True)
class Room:
    """The space that something on the ground takes: a rectangle around (x, z), and its height."""

    x: float
    z: float
    width: float
    length: float
    height: float


class Stage:
    """A scene under construction.

    Args:
        rng: source of chance.
        config: the knobs.
        view: the left camera.
        street: the plan of the ground.
        light: the weather.

    Attributes:
        faces: all surfaces so far, lit.
        shadows: what they throw on the ground.
    """

    def __init__(
        self, rng: np.random.Generator, config: SynthConfig, view: Viewpoint, street: Street,
        light: Light,
    ) -> None:  # fmt: skip
        self.rng = rng
        self.config = config
        self.street = street
        self.view = view
        self.faces: list[Face] = []
        self.shadows = ShadowMap(light)
        self._light = light
        self._taken: list[Room] = []
        self._instances = 0

    def density(self, z: float, limit: float = 0.4) -> float:
        """Texture pixels per metre that an object at distance z deserves.

        That is one per sample (the views are drawn at twice their size), but at most `limit` times
        the focal length, because painting takes time.
        """
        focal = self.view.focal
        return float(np.clip(2 * focal / max(z, 1.0), 6.0, limit * focal))

    def wall_density(self, x: float, near: float) -> float:
        """The same for a long wall along the street at x from z = `near` on.

        Parts of it that are nearer than about 1.5 x lie outside the picture, or are seen aslant.
        """
        return self.density(max(near, 1.5 * abs(x)), 0.12)

    def sees(self, corners: npt.NDArray[np.float64]) -> bool:
        """Whether something over the ground plan `corners` (x, z) [n, 2] may be in the picture."""
        points = self.view.to_camera(np.insert(corners, 1, 0.0, axis=1))
        width = self.view.size[1]
        across = self.view.focal * points[:, 0] / np.maximum(points[:, 2], 0.5) / width
        return bool(across.min() < 0.8 and across.max() > -0.8)

    def is_free(self, room: Room, margin: float = 0.3) -> bool:
        """Whether the rectangle overlaps nothing that was put down with a room, and is in reach."""
        depth = self.view.to_camera([room.x, 0.0, room.z])[2]
        reach = np.hypot(room.width, room.length) / 2
        if depth - reach < self.config.nearest or room.z > self.street.end:
            return False
        return not any(
            abs(room.x - other.x) < (room.width + other.width) / 2 + margin
            and abs(room.z - other.z) < (room.length + other.length) / 2 + margin
            for other in self._taken
        )

    def add(self, faces: Sequence[Face], casters: Sequence[Caster] = (), dim: float = 1.0) -> None:
        """Add surfaces that are in their place; `dim` is a factor on their light."""
        for face in faces:
            normal = face.normal
            if normal @ (face.centre - self.view.position) > 0:
                normal = -normal
            self.faces.append(replace(face, light=dim * self._light.on(normal)))
        self.shadows.add(casters)

    def put(
        self,
        parts: Sequence[Sequence[Face]],
        room: Room,
        heading: float = 0.0,
        things: bool = False,
    ) -> None:
        """Stand an object built around the origin on the ground, and take up its room.

        Args:
            parts: its surfaces; with `things`, each part is an instance of its own.
            room: where it stands; width and length are those before it is turned.
            heading: see `geometry.placed`.
            things: whether the parts count as instances.
        """
        self._taken.append(_turned(room, heading))
        y = self.street.height(room.x, room.z)
        plan = footprint(room.x, room.z, room.width, room.length, heading)
        caster = Caster(plan, 0.0, room.height)
        dim = self.shadows.at(room.x, room.z)
        for index, faces in enumerate(parts):
            self._instances += things
            number = self._instances if things else 0
            standing = placed(faces, room.x, y, room.z, heading, number)
            self.add(standing, [] if index else [caster], dim)


def _turned(room: Room, heading: float) -> Room:
    """The upright rectangle around a turned one."""
    c, s = abs(np.cos(heading)), abs(np.sin(heading))
    return replace(
        room,
        width=float(c * room.width + s * room.length),
        length=float(s * room.width + c * room.length),
    )
