"""Disparity from a rectified stereo pair by semi-global matching: pseudo-labels for depth.

Source: Hirschmueller, "Stereo Processing by Semiglobal Matching and Mutual Information", PAMI 2008,
in OpenCV's form (StereoSGBM, with the matching cost of Birchfield and Tomasi over blocks).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from mtl_cuda.data.io import require_cv2

_FIXED_POINT = 16  # OpenCV's disparities are integers of 1/16 px
_INVALID = -_FIXED_POINT
_MODES = {
    "3way": "STEREO_SGBM_MODE_SGBM_3WAY",
    "5way": "STEREO_SGBM_MODE_SGBM",
    "full": "STEREO_SGBM_MODE_HH",
}
# Smoothness penalties per channel and pixel of a block, for steps of one and of more disparities.
_SMALL_STEP, _LARGE_STEP = 14, 42


def semi_global_matching(
    left: npt.NDArray[np.uint8],
    right: npt.NDArray[np.uint8],
    num_disparities: int,
    block_size: int = 3,
    mode: str = "3way",
    *,
    p1: int | None = None,
    p2: int | None = None,
    uniqueness: int = 15,
    left_right: float | None = 1.0,
    speckle_size: int = 50,
    surface_step: int = 2,
    max_gap: int | None = None,
) -> npt.NDArray[np.float32]:
    """Estimate the left view's disparity.

    Both views are padded on the left, so that the first `num_disparities` columns get values too.
    The order of the steps: match, drop what the check from right to left contradicts, drop small
    islands, fill short gaps.

    Args:
        left: uint8 [H, W, 3] or [H, W].
        right: of the same shape; a point at column x on the left is at x - disparity on the right.
        num_disparities: disparities 0 .. num_disparities - 1 are tried; a multiple of 16.
        block_size: side of the square blocks compared, odd.
        mode: "3way" (three path directions, fast), "5way", or "full" (eight, much memory).
        p1: penalty of a disparity step of 1 between neighbours; None = 14 per channel and pixel of
            a block.
        p2: penalty of larger steps, larger than `p1`; None = 42 per channel and pixel of a block.
        uniqueness: per cent by which the best match must beat any other; 0 = no check.
        left_right: pixels by which matching from right to left may disagree; None = no check. It
            doubles the time.
        speckle_size: islands of up to this many pixels are dropped; 0 = none.
        surface_step: neighbouring disparities that differ by at most this many pixels count as one
            surface, for islands and gaps.
        max_gap: gaps in a row of up to this many pixels are interpolated where both ends lie on one
            surface; None = num_disparities // 3, 0 = none.

    Returns:
        float32 [H, W] in pixels with steps of 1/16 (interpolated ones aside), NaN = no match.

    Raises:
        ImportError: OpenCV is missing.
        TypeError: a view is not uint8.
        ValueError: shapes disagree, or a parameter is outside its range; the message names it.
    """
    if max_gap is None:
        max_gap = num_disparities // 3
    _check_views(left, right)
    _check_parameters(num_disparities, block_size, mode, uniqueness, left_right, speckle_size,
                      surface_step, max_gap)  # fmt: skip
    cv2 = require_cv2()
    unit = (left.shape[2] if left.ndim == 3 else 1) * block_size**2
    p1 = _SMALL_STEP * unit if p1 is None else p1
    p2 = _LARGE_STEP * unit if p2 is None else p2
    if not 0 < p1 < p2:
        raise ValueError(f"penalties must be 0 < p1 < p2, got p1={p1}, p2={p2}")
    # OpenCV's own check is done within one direction's costs; beyond all disparities it is off.
    own_check = num_disparities if left_right is None else max(1, round(left_right))
    matcher = cv2.StereoSGBM_create(
        minDisparity=0,
        numDisparities=num_disparities,
        blockSize=block_size,
        P1=p1,
        P2=p2,
        disp12MaxDiff=own_check,
        preFilterCap=31,
        uniquenessRatio=uniqueness,
        mode=getattr(cv2, _MODES[mode]),
    )
    fixed = _match(matcher, left, right)
    if left_right is not None:
        # Mirrored and swapped, the right view takes the left one's place.
        matcher.setUniquenessRatio(0)
        mirrored = _match(matcher, cv2.flip(right, 1), cv2.flip(left, 1))
        fixed[_disagrees(fixed, cv2.flip(mirrored, 1), left_right * _FIXED_POINT)] = _INVALID
    if speckle_size:
        cv2.filterSpeckles(fixed, _INVALID, speckle_size, surface_step * _FIXED_POINT)
    disparity = fixed.astype(np.float32) / np.float32(_FIXED_POINT)
    disparity[fixed < 0] = np.nan
    return _fill_gaps(disparity, max_gap, surface_step)


def _match(
    matcher: Any, left: npt.NDArray[np.uint8], right: npt.NDArray[np.uint8]
) -> npt.NDArray[np.int16]:
    """Fixed-point disparities [H, W]; what has its match beyond the left edge is extrapolated."""
    cv2, pad = require_cv2(), matcher.getNumDisparities()
    views = (cv2.copyMakeBorder(v, 0, 0, pad, 0, cv2.BORDER_REPLICATE) for v in (left, right))
    fixed = matcher.compute(*views)[:, pad:]
    return np.where(fixed < 0, np.int16(_INVALID), fixed)


def _disagrees(
    left: npt.NDArray[np.int16], right: npt.NDArray[np.int16], tolerance: float
) -> npt.NDArray[np.bool_]:
    """Where the right view's disparity at a pixel's match is known and another one."""
    columns = np.arange(left.shape[1]) - np.rint(left / _FIXED_POINT).astype(int)
    inside = (left >= 0) & (columns >= 0)
    there = np.take_along_axis(right, np.where(inside, columns, 0), axis=1)
    return inside & (there >= 0) & (np.abs(there.astype(int) - left) > tolerance)


def _fill_gaps(
    disparity: npt.NDArray[np.float32], max_gap: int, step: float
) -> npt.NDArray[np.float32]:
    """Interpolate along rows over short runs of NaN whose ends differ by at most `step`."""
    if max_gap == 0:
        return disparity
    width = disparity.shape[1]
    columns = np.arange(width)
    valid = ~np.isnan(disparity)
    before = np.maximum.accumulate(np.where(valid, columns, -1), axis=1)
    after = np.minimum.accumulate(np.where(valid, columns, width)[:, ::-1], axis=1)[:, ::-1]
    start = np.take_along_axis(disparity, before.clip(0), axis=1)
    end = np.take_along_axis(disparity, after.clip(None, width - 1), axis=1)
    short = (before >= 0) & (after < width) & (after - before - 1 <= max_gap)
    fill = ~valid & short & (np.abs(end - start) <= step)
    share = ((columns - before) / np.maximum(after - before, 1)).astype(np.float32)
    return np.where(fill, start + share * (end - start), disparity)


def _check_views(left: npt.NDArray[np.uint8], right: npt.NDArray[np.uint8]) -> None:
    for name, view in (("left", left), ("right", right)):
        if view.dtype != np.uint8:
            raise TypeError(f"{name} must be uint8, got {view.dtype}")
        if view.size == 0 or not (view.ndim == 2 or (view.ndim == 3 and view.shape[2] == 3)):
            raise ValueError(f"{name} must be [H, W] or [H, W, 3] and not empty, got {view.shape}")
    if left.shape != right.shape:
        raise ValueError(f"left and right must have one shape, got {left.shape} and {right.shape}")


def _check_parameters(
    num_disparities: int, block_size: int, mode: str, uniqueness: int, left_right: float | None,
    speckle_size: int, surface_step: int, max_gap: int,
) -> None:  # fmt: skip
    if num_disparities <= 0 or num_disparities % 16:
        raise ValueError(
            f"num_disparities must be a positive multiple of 16, got {num_disparities}"
        )
    if not 1 <= block_size <= 11 or block_size % 2 == 0:
        raise ValueError(f"block_size must be odd and in 1..11, got {block_size}")
    if mode not in _MODES:
        raise ValueError(f"mode must be one of {', '.join(_MODES)}, got {mode!r}")
    if not 0 <= uniqueness <= 100:
        raise ValueError(f"uniqueness must be in 0..100 per cent, got {uniqueness}")
    if left_right is not None and not 0 <= left_right < math.inf:
        raise ValueError(f"left_right must be None or at least 0 px, got {left_right}")
    least = (("speckle_size", speckle_size), ("surface_step", surface_step), ("max_gap", max_gap))
    for name, value in least:
        if value < 0:
            raise ValueError(f"{name} must be at least 0, got {value}")
