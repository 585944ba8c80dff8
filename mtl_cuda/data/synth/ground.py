"""Road, pavements and lawns: exact depth, and colours that depend on the place alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mtl_cuda.data.io import require_cv2
from mtl_cuda.data.synth.classes import ROAD, SIDEWALK, SKY, TERRAIN
from mtl_cuda.data.synth.config import SynthConfig
from mtl_cuda.data.synth.geometry import Viewpoint
from mtl_cuda.data.synth.light import Floats, Light, ShadowMap
from mtl_cuda.data.synth.paint import jitter, mix
from mtl_cuda.data.synth.street import KERB, Street

# Surface numbers. Two neighbouring pixels of one number lie in one plane.
S_SKY, S_ROAD, S_PAVEMENT, S_LEFT, S_RIGHT, S_KERB_LEFT, S_KERB_RIGHT, S_KERB_CROSS = range(8)
FIRST_FACE = 8
"""Faces are numbered from here on."""
_TILE = 256
_CELLS = ((4.0, 0.4), (1.0, 0.5), (0.25, 0.8), (0.06, 1.4))
# Sizes in metres and strengths of the blobs that make up the ground's grain.


@dataclass(frozen=True, eq=False)
class GroundHit:
    """What rays hit, each [rows, W] for the rows from `first_row` down to the picture's bottom.

    Attributes:
        first_row: the first row below the horizon.
        surface: surface numbers, int32.
        depth: float32 in metres.
        x: place in the world; likewise `z`, float32.
    """

    first_row: int
    surface: npt.NDArray[np.int32]
    depth: Floats
    x: Floats
    z: Floats


class Ground:
    """The ground of a street.

    Args:
        rng: source of chance.
        config: the knobs.
        street: the plan.
        light: the weather.
    """

    def __init__(
        self, rng: np.random.Generator, config: SynthConfig, street: Street, light: Light
    ) -> None:
        self._street = street
        self._grain = config.texture
        self._tile = rng.standard_normal((_TILE, _TILE), dtype=np.float32)
        self._light = light.ambient + light.direct * float(light.sun[1])
        sides = (street.left, street.right)
        yards = [SIDEWALK if side.style == "urban" else TERRAIN for side in sides]
        self.labels = [SKY, ROAD, SIDEWALK, *yards, SIDEWALK, SIDEWALK, SIDEWALK]
        """trainId of each surface number below `FIRST_FACE`."""
        road = jitter(rng, (94, 95, 98), 0.2)
        grey = mix(road, (128, 128, 126), 0.5)
        pavement = mix(jitter(rng, (152, 146, 138), 0.2), grey, config.colour_ambiguity)
        if rng.random() < 0.25:  # red bricks
            pavement = jitter(rng, (150, 112, 98), 0.15)
        lawn = jitter(rng, (98, 112, 58) if rng.random() < 0.7 else (130, 116, 84), 0.2)
        colours = [lawn if label == TERRAIN else pavement for label in yards]
        stone = mix(pavement, (190, 188, 184), 0.5)
        self._colours = np.array(
            [(0, 0, 0), road, pavement, *colours, stone, stone, stone], np.float32
        )
        rough = [0.3 if label == TERRAIN else 0.14 for label in yards]
        self._rough = np.array([0, 0.13, 0.13, *rough, 0.13, 0.13, 0.13], np.float32)
        self._wear = rng.uniform(0.0, 0.12)
        self._slab = rng.uniform(0.4, 1.0)

    def cast(self, view: Viewpoint) -> GroundHit:
        """Follow the rays of all pixels below the horizon to the ground."""
        height, width = view.size
        first = max(0, int(np.floor(view.centre[1])) + 1)
        below = (np.arange(first, height) - view.centre[1]) / view.focal
        aside = (np.arange(width) - view.centre[0]) / view.focal
        right, _, forward = view.rotation
        # World direction per metre of depth; it is the same all along a column.
        along_x = (aside * right[0] + forward[0]).astype(np.float32)
        along_z = (aside * right[2] + forward[2]).astype(np.float32)
        x0, camera_height, z0 = (np.float32(value) for value in view.position)

        def at(depth: Floats) -> tuple[Floats, Floats]:
            return x0 + depth * along_x, z0 + depth * along_z

        upper = ((camera_height - KERB) / below).astype(np.float32)[:, None]
        lower = (camera_height / below).astype(np.float32)[:, None]
        x, z = at(upper)
        x_road, z_road = at(lower)
        raised = self._street.is_raised(x, z)
        road = ~raised & ~self._street.is_raised(x_road, z_road)
        depth = np.where(road, lower, upper)
        x, z = np.where(road, x_road, x), np.where(road, z_road, z)
        surface = np.where(road, S_ROAD, self._zone(x, z))

        kerb = ~(road | raised)
        if kerb.any():
            columns = np.nonzero(kerb)[1]
            slopes = along_x[columns], along_z[columns]
            found = self._kerbs(x[kerb], z[kerb], x_road[kerb], *slopes, x0, z0)
            depth[kerb], surface[kerb] = found
            x[kerb] = x0 + depth[kerb] * along_x[columns]
            z[kerb] = z0 + depth[kerb] * along_z[columns]
        return GroundHit(first, surface.astype(np.int32), depth, x, z)

    def _kerbs(
        self,
        x: Floats,
        z: Floats,
        x_road: Floats,
        along_x: Floats,
        along_z: Floats,
        x0: np.float32,
        z0: np.float32,
    ) -> tuple[Floats, npt.NDArray[np.int64]]:
        """Depth and surface number of rays that come over the road and meet a kerb.

        (x, z) is where they pass the pavement's height, `x_road` where they would meet the road. A
        ray is over the pavement when it has left both the road and the cross street: the later of
        the two is the kerb it meets.
        """
        street = self._street
        left, right = street.kerb(-1), street.kerb(1)
        is_right = x_road > right
        aside = (np.where(is_right, right, left) - x0) / along_x
        aside = np.where((x >= left) & (x <= right), aside, 0)
        surface = np.where(is_right, S_KERB_RIGHT, S_KERB_LEFT)
        if street.crossing is None:
            return aside, surface
        begin, end = street.crossing
        ahead = np.where((z >= begin) & (z <= end), (end - z0) / along_z, 0)
        return np.maximum(aside, ahead), np.where(ahead > aside, S_KERB_CROSS, surface)

    def _zone(self, x: Floats, z: Floats) -> npt.NDArray[np.int64]:
        """Surface number at the height of the pavements."""
        street = self._street
        zone = np.full(x.shape, S_PAVEMENT)
        left, right = (street.kerb(s) + s * street.side(s).pavement for s in (-1, 1))
        zone[x < left] = S_LEFT
        zone[x > right] = S_RIGHT
        if street.crossing:
            begin, end = street.crossing
            zone[((z > begin - 2.5) & (z < begin)) | ((z > end) & (z < end + 2.5))] = S_PAVEMENT
        return zone

    def shade(self, view: Viewpoint, hit: GroundHit, shadows: Floats) -> Floats:
        """Colours of the hits, float32 [rows, W, 3]."""
        x, z, surface = hit.x, hit.z, hit.surface
        # Length on the ground that one pixel covers: finer grain than that averages out.
        reach = np.median(hit.depth, axis=1, keepdims=True) ** 2 / (view.focal * view.position[1])
        noise = np.zeros_like(x)
        for cell, strength in _CELLS:
            noise += strength / (1 + (reach / cell) ** 2) * self._noise(x, z, cell)
        bright = 1 + self._grain * self._rough[surface] * noise
        is_road = surface == S_ROAD
        lane = np.cos(2 * np.pi * x / self._street.lane)
        bright -= is_road * self._wear * lane
        bright -= (surface == S_PAVEMENT) * self._joints(x, z, reach)
        colours = self._colours[surface] * bright[..., None]
        paint = is_road & self._is_marked(x, z)
        colours[paint] = (205 * bright[paint] - 10)[:, None]
        return colours * (self._light * ShadowMap.look_up(shadows, x, z))[..., None]

    def _noise(self, x: Floats, z: Floats, cell: float) -> Floats:
        cv2 = require_cv2()
        columns, rows = np.mod(x / cell, _TILE), np.mod(z / cell, _TILE)
        return cv2.remap(self._tile, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)

    def _joints(self, x: Floats, z: Floats, reach: Floats) -> Floats:
        """Slabs: dark joints and uneven tones, as darkening."""
        u, v = x / self._slab, z / self._slab
        joint = (np.abs(u - np.rint(u)) < 0.04) | (np.abs(v - np.rint(v)) < 0.04)
        column, row = np.mod(np.rint(u), _TILE), np.mod(np.rint(v), _TILE)
        tone = self._tile[row.astype(np.int32) % _TILE, column.astype(np.int32) % _TILE]
        fade = self._grain / (1 + (reach / self._slab) ** 2)
        return (0.2 * joint + 0.05 * tone) * fade

    def _is_marked(self, x: Floats, z: Floats) -> npt.NDArray[np.bool_]:
        """White paint on the road."""
        street = self._street
        dash = np.mod(z, 6.0) < 3.0
        marked = (np.abs(x) < 0.07) & (dash | (not street.dashed))
        for sign in (-1, 1):
            lanes = street.lanes[0 if sign < 0 else 1]
            edge = sign * lanes * street.lane
            marked |= np.abs(x - edge) < 0.06
            if lanes == 2:
                marked |= (np.abs(x - edge / 2) < 0.06) & dash
        if street.crossing is None:
            return marked
        begin, end = street.crossing
        marked &= (z < begin - 4.5) | (z > end + 0.5)
        if street.zebra:
            marked |= (z > begin - 3.8) & (z < begin - 0.8) & (np.mod(x, 1.0) < 0.5)
        stop = (z > begin - 5.0) & (z < begin - 4.6) & (x > 0)
        return marked | (stop & (x < street.lanes[1] * street.lane))
