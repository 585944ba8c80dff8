"""Sun, sky, shadows on the ground, haze, and the camera's own response."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mtl_cuda.data.io import require_cv2
from mtl_cuda.data.synth.config import SynthConfig
from mtl_cuda.data.synth.geometry import Vector, Viewpoint
from mtl_cuda.data.synth.paint import smooth_noise

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Light:
    """The weather and the camera's settings, the same for both views.

    Attributes:
        sun: unit vector towards the sun.
        ambient: light from everywhere; `direct` light from the sun on a surface that faces it.
        shadow: share of the light that is missing in a shadow.
        horizon: colour of the sky at the horizon, and of haze, float32 [3]; `zenith` of the top.
        clouds: share of the sky they cover.
        haze: share of the light that is lost per metre.
        gain: exposure times white balance, float32 [3].
        noise: standard deviation of the sensor noise at full brightness (of 255).
    """

    sun: Vector
    ambient: float
    direct: float
    shadow: float
    horizon: Floats
    zenith: Floats
    clouds: float
    haze: float
    gain: Floats
    noise: float

    @classmethod
    def sample(cls, rng: np.random.Generator, config: SynthConfig) -> Light:
        """Draw the weather."""
        grey = rng.random() < config.overcast
        height, around = math.radians(rng.uniform(20, 60)), rng.uniform(0, 2 * math.pi)
        level = math.cos(height)
        sun = np.array([level * math.cos(around), math.sin(height), level * math.sin(around)])
        horizon = np.array([214, 217, 220] if grey else [205, 218, 232]) * rng.uniform(0.85, 1.05)
        zenith = np.array([176, 183, 192] if grey else [98, 148, 214]) * rng.uniform(0.85, 1.1)
        warmth = rng.uniform(-0.07, 0.07)
        return cls(
            sun=sun,
            ambient=0.8 if grey else 0.55,
            direct=0.2 if grey else 0.6,
            shadow=0.12 if grey else rng.uniform(0.4, 0.55),
            horizon=horizon.astype(np.float32),
            zenith=zenith.astype(np.float32),
            clouds=rng.uniform(0.5, 1.0) if grey else rng.uniform(0.0, 0.6),
            haze=rng.uniform(*config.haze),
            gain=(rng.uniform(*config.exposure) * np.array([1 + warmth, 1, 1 - warmth])).astype(
                np.float32
            ),
            noise=255 * rng.uniform(*config.noise),
        )

    def on(self, normal: Vector) -> float:
        """Light on a surface whose unit normal points to its seen side."""
        return self.ambient + self.direct * max(0.0, float(normal @ self.sun))

    def paint_sky(self, rng: np.random.Generator, view: Viewpoint) -> Floats:
        """Sky over the whole picture, float32 [H, W, 3]; it is infinitely far, so of one view."""
        cv2 = require_cv2()
        height, width = view.size
        elevation = (view.centre[1] - np.arange(height, dtype=np.float32)) / view.focal
        share = np.clip(elevation / 0.45, 0, 1)[:, None, None] ** 0.7
        sky = self.horizon + share * (self.zenith - self.horizon)
        rows = max(2, math.ceil(view.centre[1]))
        noise = smooth_noise(rng, (rows, width // 3), rows / 2, 5)
        noise = cv2.resize(noise, (width, rows))
        cover = np.zeros((height, width, 1), np.float32)
        cover[:rows, :, 0] = np.clip((noise + 1.2 * self.clouds - 0.7) * 2.0, 0, 1)[:height]
        cloud = 0.5 * self.horizon + np.float32(120 if self.clouds < 0.6 else 100)
        return sky + 0.85 * cover * (cloud - sky)

    def expose(self, rng: np.random.Generator, colours: Floats) -> npt.NDArray[np.uint8]:
        """Linear colours [H, W, 3] as the camera stores them: gain, soft highlights, noise."""
        bright = colours * self.gain
        bright = np.where(bright > 200, 200 + 55 * np.tanh((bright - 200) / 55), bright)
        grain = rng.standard_normal(bright.shape, dtype=np.float32)
        # Shot noise grows with the root of the light; a part of it is always there.
        grain *= self.noise * np.sqrt(0.2 + 0.8 / 255 * bright)
        return np.clip(bright + grain + 0.5, 0, 255).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class Caster:
    """Something that throws a shadow: an upright prism.

    Attributes:
        corners: of its ground plan, (x, z), float64 [n, 2].
        low: height of its lower side in metres; `high` of its upper side.
    """

    corners: npt.NDArray[np.float64]
    low: float
    high: float


class ShadowMap:
    """How much light reaches each place on the ground, seen from above."""

    _LEFT, _NEAR, _FAR, _PER_METRE = -24.0, 0.0, 96.0, 6.0

    def __init__(self, light: Light) -> None:
        self._cv2 = require_cv2()
        self._light = light
        rows = int((self._FAR - self._NEAR) * self._PER_METRE)
        columns = int(-2 * self._LEFT * self._PER_METRE)
        self._cast = np.zeros((rows, columns), np.uint8)
        self._contact = np.zeros((rows, columns), np.uint8)

    def add(self, casters: Sequence[Caster]) -> None:
        """Throw shadows along the sun's rays, and darken the ground right below low objects."""
        step = -self._light.sun[[0, 2]] / self._light.sun[1]
        for caster in casters:
            ends = [caster.corners + step * level for level in (caster.low, caster.high)]
            self._fill(self._cast, self._cv2.convexHull(self._pixels(np.concatenate(ends))))
            if caster.low < 0.5:
                self._fill(self._contact, self._pixels(caster.corners))

    def at(self, x: float, z: float) -> float:
        """Light (0..1) on what stands at (x, z), as far as shadows were thrown."""
        column = int((x - self._LEFT) * self._PER_METRE)
        row = int((z - self._NEAR) * self._PER_METRE)
        inside = 0 <= row < self._cast.shape[0] and 0 <= column < self._cast.shape[1]
        return 1 - 0.7 * self._light.shadow if inside and self._cast[row, column] else 1.0

    def finish(self) -> Floats:
        """Light (0..1) at each place, with soft edges; give it to `look_up`."""
        soft, softer = (
            self._cv2.GaussianBlur(mask, (0, 0), sigma).astype(np.float32) / 255
            for mask, sigma in ((self._cast, 0.8), (self._contact, 1.3))
        )
        return (1 - self._light.shadow * soft) * (1 - 0.7 * softer)

    @classmethod
    def look_up(cls, light: Floats, x: Floats, z: Floats) -> Floats:
        """Light at places (x, z), float32 of their shape; 1 outside the map."""
        columns = ((x - cls._LEFT) * cls._PER_METRE - 0.5).clip(-9, 9999)
        rows = ((z - cls._NEAR) * cls._PER_METRE - 0.5).clip(-9, 9999)
        cv2 = require_cv2()
        return cv2.remap(
            light, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=1.0
        )

    def _pixels(self, points: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
        pixels = (points - [self._LEFT, self._NEAR]) * self._PER_METRE - 0.5
        return np.rint(pixels * 16).clip(-32000 * 16, 32000 * 16).astype(np.int32)

    def _fill(self, mask: npt.NDArray[np.uint8], corners: npt.NDArray[np.int32]) -> None:
        self._cv2.fillConvexPoly(mask, corners, 255, shift=4)
