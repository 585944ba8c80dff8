"""One picture that shows a sample: input, predictions, and the truth where it is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mtl_cuda.data.info import DatasetInfo
from mtl_cuda.data.io import require_cv2
from mtl_cuda.visualise.colours import Picture
from mtl_cuda.visualise.columns import Cell, Column, Maps, make_columns
from mtl_cuda.visualise.keys import KeyStyle, blank, write_text


def panel(
    image: Picture,
    prediction: Maps,
    info: DatasetInfo,
    target: Maps | None = None,
    *,
    cell_width: int = 512,
) -> Picture:
    """Draw a sample as a labelled grid: a column per quantity, predictions above the truth.

    Predicted and true maps of a quantity have the same colour scale, which follows the truth where
    it is known. Predicted vectors are shown where the predicted class is one of things. A true map
    without a single valid pixel is left out.

    Args:
        image: uint8 [H, W, 3], RGB.
        prediction: any of "semantic" (classes, integers [H, W]), "instance" (vectors, [2, H, W],
            pixels), "depth" (inverse depth, [H, W] or [1, H, W]), "clusters" (instance ids,
            integers [H, W]).
        info: names, colours and unit.
        target: any of "semantic" (255 ignored), "instance" (ids, 0 none), "depth" (NaN invalid),
            all [H, W].
        cell_width: pictures are enlarged or reduced by a whole factor to about this width.

    Returns:
        uint8 [H', W', 3], RGB.

    Raises:
        ValueError: an unknown name, or a map that has not the size of the image, or cells
            narrower than 32 pixels.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise ValueError(f"image: expected uint8 [H, W, 3], got {image.dtype} {list(image.shape)}")
    if cell_width < 32:
        raise ValueError(f"cell_width: expected at least 32 pixels, got {cell_width}")
    size = (image.shape[0], image.shape[1])
    predicted = _checked_predictions(prediction, size)
    truth = _checked_truth(target or {}, size)
    width = _resize(image, cell_width).shape[1]
    style = KeyStyle(width, text=max(9, width // 30))
    return _grid(make_columns(image, predicted, truth, info, style), cell_width, style)


def _checked_predictions(maps: Maps, size: tuple[int, int]) -> dict[str, npt.NDArray[Any]]:
    checked = {}
    for name, array in maps.items():
        if name == "depth" and array.ndim == 3 and array.shape[0] == 1:
            array = array[0]
        if name not in ("semantic", "instance", "depth", "clusters"):
            raise ValueError(f"prediction: unknown map {name!r}")
        _check_shape(f"prediction[{name!r}]", array, (2, *size) if name == "instance" else size)
        checked[name] = array
    return checked


def _checked_truth(maps: Maps, size: tuple[int, int]) -> dict[str, npt.NDArray[Any]]:
    """The maps of which anything is known."""
    checked = {}
    for name, array in maps.items():
        if name not in ("semantic", "instance", "depth"):
            raise ValueError(f"target: unknown map {name!r}")
        _check_shape(f"target[{name!r}]", array, size)
        valid = {"semantic": array != 255, "instance": array > 0, "depth": ~np.isnan(array)}[name]
        if valid.any():
            checked[name] = array
    return checked


def _check_shape(name: str, array: npt.NDArray[Any], expected: tuple[int, ...]) -> None:
    if array.shape != expected:
        raise ValueError(f"{name}: expected {list(expected)}, got {list(array.shape)}")


def _grid(columns: list[Column], cell_width: int, style: KeyStyle) -> Picture:
    """Put the columns side by side; a row that no column uses is left out."""
    drawn = [
        [_captioned(c.upper, cell_width, style), _captioned(c.lower, cell_width, style), c.key]
        for c in columns
    ]
    heights = [
        max((part.shape[0] for part in row if part is not None), default=0) for row in zip(*drawn)
    ]
    gap = style.text
    height = sum(tall + gap for tall in heights if tall) + gap // 2
    canvas = blank(height, gap + len(drawn) * (style.width + gap))
    for place, parts in enumerate(drawn):
        left, top = gap + place * (style.width + gap), gap // 2
        for part, tall in zip(parts, heights):
            if part is not None:
                canvas[top : top + part.shape[0], left : left + part.shape[1]] = part
            top += tall + gap if tall else 0
    return canvas


def _captioned(cell: Cell | None, cell_width: int, style: KeyStyle) -> Picture | None:
    if cell is None:
        return None
    caption = blank(2 * style.text + style.text // 2, style.width)
    write_text(caption, cell.caption, 0, style.text // 2, style.text)
    return np.concatenate([caption, _resize(cell.picture, cell_width)])


def _resize(picture: Picture, cell_width: int) -> Picture:
    """Enlarge (repeating pixels) or reduce (averaging) by a whole factor."""
    height, width = picture.shape[:2]
    if width < cell_width:
        factor = round(cell_width / width)
        return picture.repeat(factor, axis=0).repeat(factor, axis=1)
    factor = width // cell_width
    size = (width // factor, max(1, height // factor))
    return require_cv2().resize(picture, size, interpolation=require_cv2().INTER_AREA)
