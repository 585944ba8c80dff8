"""Drawing both views of a scene from its surfaces, with a depth buffer.

The views are sampled at half pixels and filtered with a tent, so that every pixel has one sample at
its centre: labels and depth are those of that sample, exact and unmixed, and colours are smooth.

A picture on a plane maps to the image by a homography (Hartley and Zisserman, Multiple View
Geometry, 8.1.1). With H from the picture's fractions (u, v, 1) to (x, y, 1) times depth,
H^-1 (x, y, 1) = (u, v, 1) / depth: the third row of H^-1 gives the inverse depth. Each view has its
own H of the same three-dimensional surface; nothing is warped from one view to the other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mtl_cuda.data.io import require_cv2
from mtl_cuda.data.synth.geometry import Face, Texture, Viewpoint
from mtl_cuda.data.synth.ground import FIRST_FACE, Ground
from mtl_cuda.data.synth.light import Floats, Light

_NEAR = 0.2  # surfaces that come closer to a camera's plane (metres) are left out
_HAZE_END = 150.0  # metres; haze is that thick before the sky, too
_THERE = 120  # opacity from which a sample is there: a shade under half, so that seams stay closed


@dataclass(frozen=True, eq=False)
class Picture:
    """One view before the camera's response.

    Attributes:
        colours: float32 [H, W, 3].
        inverse_depth: float32 [H, W] in 1/m; 0 = sky.
        surface: int32 [H, W]: `ground.S_SKY` and so on; `FIRST_FACE` + i is face i.
    """

    colours: Floats
    inverse_depth: Floats
    surface: npt.NDArray[np.int32]


class _Projection:
    """Where all faces lie in a view.

    Attributes:
        homography: float64 [n, 3, 3], fractions (u, v, 1) of a face to (x, y, 1) times depth.
        corners: float64 [n, 4, 2], around the face from its origin.
        nearest: float64 [n], the smallest depth of a corner in metres.
        plane: float64 [n, 3], inverse depth = plane . (x, y, 1); 0 where a face is seen edge-on.
    """

    def __init__(self, view: Viewpoint, faces: Sequence[Face]) -> None:
        sides = np.array([(f.across, f.down, f.origin - view.position) for f in faces])
        to_samples = view.matrix @ view.rotation
        self.homography = np.einsum("ij,nkj->nik", to_samples, sides.reshape(-1, 3, 3))
        square = np.array([[0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1.0]])
        corners = np.einsum("nij,kj->nki", self.homography, square)
        self.nearest = corners[:, :, 2].min(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            self.corners = corners[:, :, :2] / corners[:, :, 2:]
        normal = np.cross(self.homography[:, :, 0], self.homography[:, :, 1])
        volume = np.einsum("ni,ni->n", normal, self.homography[:, :, 2])
        edge_on = np.abs(volume) < 1e-9
        self.plane = np.where(edge_on[:, None], 0, normal / np.where(edge_on, 1, volume)[:, None])


class _Canvas:
    """The samples of one view."""

    def __init__(
        self, view: Viewpoint, faces: Sequence[Face], sky: Floats, ground: Ground, shadows: Floats
    ) -> None:
        self._cv2 = require_cv2()
        view = view.doubled()
        self.where = _Projection(view, faces)
        self._colours = sky.copy()
        self._inverse_depth = np.zeros(view.size, np.float32)
        self._surface = np.zeros(view.size, np.int32)
        hit = ground.cast(view)
        rows = slice(hit.first_row, None)
        self._colours[rows] = ground.shade(view, hit, shadows)
        self._inverse_depth[rows] = 1 / hit.depth
        self._surface[rows] = hit.surface

    def draw(self, index: int, texture: Texture, light: float) -> None:
        """Draw face `index`; `texture` is its picture at a fitting size, with a rim."""
        where, size = self.where, self._surface.shape
        if where.nearest[index] < _NEAR:
            return
        corners = where.corners[index]
        low, high = np.floor(corners.min(axis=0)), np.ceil(corners.max(axis=0)) + 1
        left, top = np.maximum(low, 0).astype(int).tolist()
        right, bottom = np.minimum(high, size[::-1]).astype(int).tolist()
        if left >= right or top >= bottom:
            return
        window = slice(top, bottom), slice(left, right)
        along_x, along_y, constant = where.plane[index].tolist()
        nearness = (along_y * np.arange(top, bottom) + constant)[:, None]
        nearness = (nearness + along_x * np.arange(left, right)).astype(np.float32)
        visible = nearness > self._inverse_depth[window]
        if not visible.any():
            return
        height, width = texture.shape[0] - 2, texture.shape[1] - 2
        # Texel i of the picture, at i + 1 behind the rim, covers the fractions i/n to (i + 1)/n.
        texel = np.array([[1 / width, 0, -0.5 / width], [0, 1 / height, -0.5 / height], [0, 0, 1]])
        move = np.array([[1.0, 0, -left], [0, 1.0, -top], [0, 0, 1.0]])
        pixels = self._cv2.warpPerspective(
            texture, move @ where.homography[index] @ texel, (right - left, bottom - top)
        )
        visible &= pixels[..., 3] >= _THERE
        np.copyto(self._inverse_depth[window], nearness, where=visible)
        np.copyto(self._surface[window], np.int32(FIRST_FACE + index), where=visible)
        colours = pixels[..., :3] * np.float32(light)
        np.copyto(self._colours[window], colours, where=visible[..., None])

    def finish(self, light: Light) -> Picture:
        """Put haze over the distance, and filter down to pixels."""
        distance = 1 / np.maximum(self._inverse_depth, 1 / _HAZE_END)
        clear = np.exp(-light.haze * distance)[..., None]
        hazy = light.horizon + clear * (self._colours - light.horizon)
        tent = np.array([0.25, 0.5, 0.25], np.float32)
        smooth = self._cv2.sepFilter2D(hazy, -1, tent, tent)
        centres = (slice(1, None, 2), slice(1, None, 2))
        return Picture(
            smooth[centres], self._inverse_depth[centres].copy(), self._surface[centres].copy()
        )


def render(
    faces: Sequence[Face],
    ground: Ground,
    shadows: Floats,
    sky: Floats,
    light: Light,
    views: Sequence[Viewpoint],
) -> list[Picture]:
    """Draw the scene from every viewpoint; all must have the same size, focal length and yaw.

    Args:
        faces: all surfaces but the ground.
        ground: the ground.
        shadows: light on the ground, from `ShadowMap.finish`.
        sky: float32 [2H+1, 2W+1, 3], for the doubled views.
        light: the weather.
        views: the cameras; the first decides about the detail of textures.
    """
    canvases = [_Canvas(view, faces, sky, ground, shadows) for view in views]
    first = canvases[0].where
    # Near ones first: what lies hidden behind them is found out before it is drawn.
    for index in np.argsort(first.nearest, kind="stable").tolist():
        if first.nearest[index] >= _NEAR:
            texture = _fitting(faces[index].texture, first.corners[index])
            for canvas in canvases:
                canvas.draw(index, texture, faces[index].light)
    return [canvas.finish(light) for canvas in canvases]


def _fitting(texture: Texture, corners: npt.NDArray[np.float64]) -> Texture:
    """A picture shrunk to about its size in the image, with a transparent rim."""
    cv2 = require_cv2()
    sides = np.hypot(*(corners - corners[[1, 2, 3, 0]]).T).tolist()
    rows, columns = texture.shape[:2]
    width = min(columns, math.ceil(max(sides[0], sides[2])) + 1)
    height = min(rows, math.ceil(max(sides[1], sides[3])) + 1)
    if (height, width) != (rows, columns):
        texture = cv2.resize(texture, (width, height), interpolation=cv2.INTER_AREA)
    texture = cv2.copyMakeBorder(texture, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    for rim in (texture[0], texture[-1], texture[:, 0], texture[:, -1]):
        rim[:, 3] = 0
    return texture
