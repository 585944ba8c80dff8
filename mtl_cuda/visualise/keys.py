"""What the colours of a picture mean: small keys to stand below it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mtl_cuda.data.io import require_cv2
from mtl_cuda.visualise.colours import Picture, colour_inverse_depth, colour_offsets

BACKGROUND = (24, 26, 30)
FOREGROUND = (214, 217, 222)
CAPITAL = 21
"""Height in pixels of a capital at OpenCV's font scale 1. (OpenCV 5 reports that of a line.)"""


class KeyStyle(NamedTuple):
    """Width of a key and height of a capital in it, in pixels."""

    width: int
    text: int


def blank(height: int, width: int) -> Picture:
    """An empty picture in the background colour."""
    return np.full((height, width, 3), BACKGROUND, np.uint8)


def write_text(picture: Picture, text: str, left: int, top: int, size: int) -> None:
    """Write a line of text, `size` pixels from baseline to the top of a capital."""
    cv2 = require_cv2()
    where, scale = (left, top + size), size / CAPITAL
    cv2.putText(picture, text, where, cv2.FONT_HERSHEY_SIMPLEX, scale, FOREGROUND, 1, cv2.LINE_AA)


def text_width(text: str, size: int) -> int:
    """Width in pixels of what :func:`write_text` writes."""
    cv2 = require_cv2()
    return cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size / CAPITAL, 1)[0][0]


def class_key(
    names: Sequence[str], colours: Sequence[tuple[int, int, int]], style: KeyStyle
) -> Picture:
    """A patch of colour for every name, in as many columns as fit."""
    size = style.text
    longest = max((text_width(name, size) for name in names), default=0)
    columns = max(1, style.width // (longest + 5 * size // 2))
    rows = -(-len(names) // columns)
    picture = blank(max(rows, 1) * 2 * size, style.width)
    for place, (name, colour) in enumerate(zip(names, colours)):
        row, column = divmod(place, columns)
        top, left = row * 2 * size + size // 4, column * style.width // columns
        picture[top : top + size, left : left + size] = colour
        write_text(picture, name, left + size * 3 // 2, top, size)
    return picture


def offset_key(scale: float, style: KeyStyle) -> Picture:
    """The colour wheel, and the length that its edge stands for."""
    side = 4 * style.text
    axis = np.linspace(-1.0, 1.0, side)
    wheel = np.stack(np.meshgrid(axis, axis))
    inside = np.hypot(*wheel) <= 1.0
    picture = blank(side, style.width)
    picture[:, :side][inside] = colour_offsets(wheel, scale=1.0)[inside]
    top = (side - style.text) // 2
    write_text(picture, f"rim: {scale:.3g} px", side + style.text, top, style.text)
    return picture


def inverse_depth_key(limits: tuple[float, float], unit: str, style: KeyStyle) -> Picture:
    """The colour bar with the values at its ends."""
    width, size = style
    picture = blank(4 * size, width)
    bar = np.tile(np.linspace(0.0, 1.0, width), (size, 1))
    picture[size // 4 : size // 4 + size] = colour_inverse_depth(bar, (0.0, 1.0))
    low, high = (f"{value:.3g} {unit}" for value in limits)
    write_text(picture, low, 0, 2 * size, size)
    write_text(picture, high, width - text_width(high, size), 2 * size, size)
    return picture
