"""Cameras and surfaces: the three-dimensional description that both views are drawn from.

World coordinates in metres: x to the right across the street, y up, z along the street. Camera
coordinates as in OpenCV: x right, y down, z forward; depth is the camera's z. The optical axis is
horizontal, so that upright edges stay upright in the image; a horizon above or below the middle
comes from the principal point.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
Texture = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Viewpoint:
    """A pinhole camera with square pixels; pixel (row r, column c) is the point (x=c, y=r).

    Attributes:
        position: world coordinates of the camera, float64 [3].
        yaw: angle of the optical axis from the street's direction, in radians, to the right.
        focal: in pixels.
        centre: principal point (x, y) in pixels.
        size: (height, width) in pixels.
    """

    position: Vector
    yaw: float
    focal: float
    centre: tuple[float, float]
    size: tuple[int, int]

    @property
    def rotation(self) -> npt.NDArray[np.float64]:
        """World to camera, float64 [3, 3]; its rows are the camera's axes in the world."""
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        return np.array([[c, 0.0, -s], [0.0, -1.0, 0.0], [s, 0.0, c]])

    @property
    def matrix(self) -> npt.NDArray[np.float64]:
        """Camera coordinates to homogeneous pixels, float64 [3, 3]."""
        x, y = self.centre
        return np.array([[self.focal, 0.0, x], [0.0, self.focal, y], [0.0, 0.0, 1.0]])

    def shifted(self, distance: float) -> Viewpoint:
        """The same camera moved to its right by `distance` metres."""
        return replace(self, position=self.position + distance * self.rotation[0])

    def doubled(self) -> Viewpoint:
        """The camera that samples the same view at half pixels.

        Sample 2c + 1 lies on pixel c, so the grid has one more sample at each end: 2W + 1.
        """
        (x, y), (height, width) = self.centre, self.size
        return replace(
            self,
            focal=2 * self.focal,
            centre=(2 * x + 1, 2 * y + 1),
            size=(2 * height + 1, 2 * width + 1),
        )

    def to_camera(self, points: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """World points [..., 3] in camera coordinates."""
        return (np.asarray(points) - self.position) @ self.rotation.T


@dataclass(frozen=True, eq=False)
class Face:
    """A flat parallelogram with a picture on it; the picture's transparent parts are not there.

    Attributes:
        origin: world coordinates of the picture's upper left corner, float64 [3].
        across: vector along the picture's upper edge, float64 [3].
        down: vector along its left edge, float64 [3].
        texture: uint8 [h, w, 4], RGB and opacity (at least half opaque = there).
        label: trainId.
        instance: 0 = none, else a number of the scene's own.
        light: factor on the colours.
    """

    origin: Vector
    across: Vector
    down: Vector
    texture: Texture
    label: int
    instance: int = 0
    light: float = 1.0

    @property
    def normal(self) -> Vector:
        """Unit normal; its sign means nothing."""
        normal = cross(self.across, self.down)
        return normal / max(float(np.linalg.norm(normal)), 1e-12)

    @property
    def centre(self) -> Vector:
        """World coordinates of the middle."""
        return self.origin + 0.5 * (self.across + self.down)

    def pieces(self, ends: Sequence[float]) -> Iterator[Face]:
        """Cut the face at fractions 0 = ends[0] < ends[1] < ... = 1 of its width.

        The cuts are moved to the nearest column of the texture.
        """
        columns = self.texture.shape[1]
        cuts = sorted({round(end * columns) for end in ends})
        for first, last in itertools.pairwise(cuts):
            yield replace(
                self,
                origin=self.origin + self.across * (first / columns),
                across=self.across * ((last - first) / columns),
                texture=self.texture[:, first:last],
            )


def cross(a: Vector, b: Vector) -> Vector:
    """Cross product of two vectors; NumPy's own takes ten times as long for single vectors."""
    (a0, a1, a2), (b0, b1, b2) = a.tolist(), b.tolist()
    return np.array([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0])


def upright(
    start: tuple[float, float],
    end: tuple[float, float],
    low: float,
    high: float,
    texture: Texture,
    label: int,
) -> Face:
    """A vertical wall over the ground points (x, z) `start` (left edge) and `end` (right edge)."""
    (x0, z0), (x1, z1) = start, end
    return Face(
        np.array([x0, high, z0]),
        np.array([x1 - x0, 0.0, z1 - z0]),
        np.array([0.0, low - high, 0.0]),
        texture,
        label,
    )


def placed(
    faces: Sequence[Face], x: float, y: float, z: float, heading: float, instance: int = 0
) -> list[Face]:
    """Faces built around the origin, turned about the vertical and moved to (x, y, z).

    Args:
        faces: in coordinates of their own.
        x: where their origin comes to lie; likewise `y` and `z`.
        heading: radians; their z axis turns from the street's direction towards the right.
        instance: number they get; 0 leaves them as they are.
    """
    c, s = math.cos(heading), math.sin(heading)
    turn = np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])
    shift = np.array([x, y, z])
    return [
        replace(
            face,
            origin=turn @ face.origin + shift,
            across=turn @ face.across,
            down=turn @ face.down,
            instance=instance or face.instance,
        )
        for face in faces
    ]


def footprint(
    x: float, z: float, width: float, length: float, heading: float
) -> npt.NDArray[np.float64]:
    """Corners (x, z) of a rectangle on the ground, float64 [4, 2]."""
    c, s = math.cos(heading), math.sin(heading)
    corners = 0.5 * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * [width, length]
    return corners @ np.array([[c, -s], [s, c]]) + [x, z]
