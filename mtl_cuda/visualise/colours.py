"""Label maps and predictions as colour pictures: numpy in, uint8 RGB [H, W, 3] out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mtl_cuda.data.io import require_cv2

Picture = npt.NDArray[np.uint8]


def colour_classes(
    semantic: npt.NDArray[np.integer[Any]], palette: Sequence[tuple[int, int, int]]
) -> Picture:
    """Classes in the colours of `palette`; every value that is no class (as 255) is black.

    Args:
        semantic: integers [H, W].
        palette: (red, green, blue), 0..255, of each class 0..C-1.
    """
    _check_map("semantic", semantic, np.integer)
    table = np.zeros((len(palette) + 1, 3), np.uint8)
    table[:-1] = np.reshape(palette, (-1, 3))
    known = (semantic >= 0) & (semantic < len(palette))
    return table[np.where(known, semantic, len(palette))]


def colour_offsets(
    offsets: npt.NDArray[np.floating[Any]],
    *,
    mask: npt.NDArray[np.bool_] | None = None,
    scale: float | None = None,
) -> Picture:
    """Vectors on a colour wheel: the hue is the direction, the saturation the length.

    White is no movement; the colour is full at the length `scale` and stays so beyond it. To the
    right is red, downwards yellow-green, to the left cyan, upwards violet.

    Args:
        offsets: [2, H, W] in pixels, channel 0 = x (right), 1 = y (down). NaN becomes black.
        mask: [H, W]; where it is False the picture is black.
        scale: length in pixels of a full colour; by default :func:`offset_scale`.
    """
    if offsets.ndim != 3 or offsets.shape[0] != 2:
        raise ValueError(f"offsets: expected [2, H, W], got {list(offsets.shape)}")
    if scale is None:
        scale = offset_scale(offsets, mask)
    x, y = offsets.astype(np.float64)
    shown = np.isfinite(x) & np.isfinite(y)
    if mask is not None:
        shown &= mask
    x, y = np.where(shown, x, 0.0), np.where(shown, y, 0.0)
    saturation = np.minimum(np.hypot(x, y) / scale, 1.0)
    picture = _hues(np.arctan2(y, x) / (2 * np.pi))
    picture = 1.0 - saturation[..., None] * (1.0 - picture)
    return _to_bytes(picture * shown[..., None])


def offset_scale(
    offsets: npt.NDArray[np.floating[Any]], mask: npt.NDArray[np.bool_] | None = None
) -> float:
    """The length that 95 % of the finite vectors (within `mask`) stay below, at least 1 pixel."""
    length = np.hypot(*offsets.astype(np.float64))
    length = length[np.isfinite(length) if mask is None else np.isfinite(length) & mask]
    return max(1.0, float(np.percentile(length, 95))) if length.size else 1.0


def colour_inverse_depth(
    values: npt.NDArray[np.floating[Any]], limits: tuple[float, float] | None = None
) -> Picture:
    """Inverse depth from deep blue (far) over magenta to yellow (near); invalid (NaN) is black.

    Args:
        values: [H, W], in any unit.
        limits: values of the two ends; by default :func:`inverse_depth_limits`.
    """
    _check_map("values", values, np.floating)
    low, high = inverse_depth_limits(values) if limits is None else limits
    valid = np.isfinite(values)
    share = (np.where(valid, values, low).astype(np.float64) - low) / max(high - low, 1e-12)
    cv2 = require_cv2()
    picture = cv2.applyColorMap(_to_bytes(np.clip(share, 0.0, 1.0)), cv2.COLORMAP_PLASMA)
    return np.where(valid[..., None], picture[..., ::-1], np.uint8(0))


def inverse_depth_limits(values: npt.NDArray[np.floating[Any]]) -> tuple[float, float]:
    """The 1st and the 99th percentile of the finite values; (0, 1) where there is none."""
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(finite.astype(np.float64), [1, 99])
    return float(low), float(high)


def colour_instances(ids: npt.NDArray[np.integer[Any]]) -> Picture:
    """Every instance in a colour of its own, the same for an id in every picture.

    Neighbouring ids get hues far apart. No instance (0 or less) is black.
    """
    _check_map("ids", ids, np.integer)
    golden_ratio = 0.6180339887498949
    colours = 0.25 + 0.75 * _hues(ids.astype(np.float64) * golden_ratio % 1.0)
    shade = np.where(ids // 3 % 2 == 0, 1.0, 0.75)  # tells apart hues that come round again
    return _to_bytes(colours * (shade * (ids > 0))[..., None])


def draw_instances(image: Picture, ids: npt.NDArray[np.integer[Any]]) -> Picture:
    """Instances on the darkened image without its colours, each with an outline of its colour.

    Args:
        image: uint8 [H, W, 3], RGB.
        ids: integers [H, W]; coloured as by :func:`colour_instances`.
    """
    colours = colour_instances(ids).astype(np.float64)
    grey = 0.5 * image.mean(axis=2, keepdims=True)
    inside = (ids > 0)[..., None]
    picture = np.where(inside, 0.4 * grey + 0.6 * colours, grey)
    picture = np.where(inside & instance_edges(ids)[..., None], colours, picture)
    return np.rint(picture).astype(np.uint8)


def instance_edges(ids: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.bool_]:
    """Which pixels [H, W] have a neighbour (in their row or column) with another id."""
    edge = np.zeros(ids.shape, bool)
    for here, there in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        differs = ids[here] != ids[there]
        edge[here] |= differs
        edge[there] |= differs
    return edge


def _hues(turns: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Full colours [..., 3] in 0..1 for angles in turns: 0 red, 1/3 green, 2/3 blue."""
    phase = np.asarray(turns)[..., None] - np.array([0.0, 1 / 3, 2 / 3])
    return np.clip(0.55 + 0.55 * np.cos(2 * np.pi * phase), 0.0, 1.0)


def _to_bytes(shares: npt.NDArray[np.float64]) -> Picture:
    return np.rint(shares * 255.0).astype(np.uint8)


def _check_map(name: str, array: npt.NDArray[Any], kind: type) -> None:
    if array.ndim != 2 or not np.issubdtype(array.dtype, kind):
        raise ValueError(
            f"{name}: expected {kind.__name__} [H, W], got {array.dtype} {list(array.shape)}"
        )
