"""Drawing textures: noise, and shapes given in metres."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mtl_cuda.data.io import require_cv2
from mtl_cuda.data.synth.geometry import Texture

Colour = tuple[float, float, float]
Point = tuple[float, float]
_SHIFT = 4  # OpenCV's drawing functions take points in 1/16 pixel


def smooth_noise(
    rng: np.random.Generator, shape: tuple[int, int], cell: float, octaves: int = 4
) -> npt.NDArray[np.float32]:
    """Fractal noise, float32 [h, w] of mean about 0 and standard deviation about 0.5.

    Args:
        rng: source of chance.
        shape: (h, w).
        cell: size in pixels of the largest blobs; each further octave halves size and strength.
        octaves: how many; those finer than a pixel are left out.
    """
    cv2 = require_cv2()
    height, width = shape
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        size = max(cell / 2**octave, 1.0)
        grid = (int(height / size) + 2, int(width / size) + 2)
        values = rng.standard_normal(grid, dtype=np.float32)
        # Enlarge beyond the picture and cut: the blobs keep their size in any picture.
        large = cv2.resize(values, (round(grid[1] * size), round(grid[0] * size)))
        total += 0.5 ** (octave + 0.5) * large[:height, :width]
        if size == 1.0:
            break
    return total


def jitter(rng: np.random.Generator, colour: Colour, amount: float) -> Colour:
    """A colour near another one: brightness and each channel vary by the fraction `amount`."""
    factors = rng.uniform(1 - amount, 1 + amount) * rng.uniform(1 - amount / 3, 1 + amount / 3, 3)
    red, green, blue = np.clip(np.array(colour) * factors, 0, 255).tolist()
    return red, green, blue


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """`share` (0..1) of the second colour, the rest of the first."""
    red, green, blue = (a + share * (b - a) for a, b in zip(first, second))
    return red, green, blue


def opaque(colours: npt.NDArray[np.floating]) -> Texture:
    """Float colours [h, w, 3] (0..255, clipped) as a texture without holes."""
    texture = np.full((*colours.shape[:2], 4), 255, np.uint8)
    texture[..., :3] = np.clip(colours, 0, 255)
    return texture


class Painter:
    """A transparent sheet to draw shapes on, in metres: x to the right, y up from the lower edge.

    Args:
        width: of the sheet in metres; likewise `height`.
        density: pixels per metre.
        ground: colour of what stays transparent, which shows faintly where the sheet is scaled
            down: choose that of the object.
    """

    def __init__(self, width: float, height: float, density: float, ground: Colour) -> None:
        columns, rows = (max(2, round(length * density)) for length in (width, height))
        self._scale = np.array([columns / width, -rows / height])
        self._offset = np.array([-0.5, rows - 0.5])
        self._cv2 = require_cv2()
        self.texture: Texture = np.empty((rows, columns, 4), np.uint8)
        self.texture[:] = (*ground, 0)

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        """Fill a polygon."""
        self._cv2.fillPoly(self.texture, [self._pixels(points)], (*colour, 255), shift=_SHIFT)

    def box(self, left: float, bottom: float, right: float, top: float, colour: Colour) -> None:
        """Fill an upright rectangle."""
        self.polygon([(left, bottom), (right, bottom), (right, top), (left, top)], colour)

    def disc(self, centre: Point, radius: float, colour: Colour, height: float = 1.0) -> None:
        """Fill a circle, or an ellipse `height` times as high as it is wide."""
        angles = np.linspace(0, 2 * np.pi, 17)[:-1]
        x = centre[0] + radius * np.cos(angles)
        y = centre[1] + radius * height * np.sin(angles)
        self.polygon(list(zip(x.tolist(), y.tolist())), colour)

    def stroke(self, points: Sequence[Point], thickness: float, colour: Colour) -> None:
        """Draw a line through points, with round ends."""
        pixels = max(1, round(thickness * self._scale[0]))
        self._cv2.polylines(
            self.texture, [self._pixels(points)], False, (*colour, 255), pixels, shift=_SHIFT
        )

    def grain(self, rng: np.random.Generator, strength: float, cell: float = 0.1) -> None:
        """Make the colours uneven by the fraction `strength`, in blobs of `cell` metres."""
        shape = self.texture.shape[:2]
        noise = smooth_noise(rng, (shape[0], shape[1]), cell * self._scale[0], 3)
        colours = self.texture[..., :3]
        colours[:] = np.clip(colours * (1 + 2 * strength * noise[..., None]), 0, 255)

    def _pixels(self, points: Sequence[Point]) -> npt.NDArray[np.int32]:
        pixels = np.asarray(points) * self._scale + self._offset
        return np.rint(pixels * 2**_SHIFT).astype(np.int32)
