"""Disparity from a rectified stereo pair by semi-global matching: pseudo-labels for depth.

Source: Hirschmueller, "Stereo Processing by Semiglobal Matching and Mutual Information", PAMI 2008,
in OpenCV's form (StereoSGBM, with the matching cost of Birchfield and Tomasi over blocks).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

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


class Confidence(IntEnum):
    """Where a disparity comes from, by rising trust; the values of confidence files."""

    INVALID = 0  # no disparity
    FILLED = 1  # interpolated over a short gap
    UNCHECKED = 2  # matched; its match is outside the right view, or has no match itself
    CHECKED = 3  # matched, and matching from right to left agrees
    LABELLED = 4  # not matched: known from the class (sky is infinitely far)


@dataclass(frozen=True)
class SgmSettings:
    """How to match.

    Attributes:
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

    Raises:
        ValueError: a number is outside its range; the message names it.
    """

    num_disparities: int
    block_size: int = 3
    mode: str = "3way"
    p1: int | None = None
    p2: int | None = None
    uniqueness: int = 15
    left_right: float | None = 1.0
    speckle_size: int = 50
    surface_step: int = 2
    max_gap: int | None = None

    def __post_init__(self) -> None:
        _check_settings(self)

    @property
    def longest_gap(self) -> int:
        """`max_gap`, or what it is by default."""
        return self.num_disparities // 3 if self.max_gap is None else self.max_gap

    def penalties(self, channels: int) -> tuple[int, int]:
        """P1 and P2 for views of this many channels.

        Raises:
            ValueError: not 0 < P1 < P2.
        """
        unit = channels * self.block_size**2
        p1 = _SMALL_STEP * unit if self.p1 is None else self.p1
        p2 = _LARGE_STEP * unit if self.p2 is None else self.p2
        if not 0 < p1 < p2:
            raise ValueError(f"penalties must be 0 < p1 < p2, got p1={p1}, p2={p2}")
        return p1, p2


class Match(NamedTuple):
    """What matching found in the left view."""

    disparity: npt.NDArray[np.float32]  # [H, W] in pixels, NaN = no match
    confidence: npt.NDArray[np.uint8]  # [H, W], values of Confidence


def semi_global_matching(
    left: npt.NDArray[np.uint8],
    right: npt.NDArray[np.uint8],
    num_disparities: int,
    block_size: int = 3,
    mode: str = "3way",
    **settings: Any,
) -> npt.NDArray[np.float32]:
    """Estimate the left view's disparity: :func:`match` without the confidence.

    Args:
        left: uint8 [H, W, 3] or [H, W].
        right: of the same shape.
        num_disparities: see :class:`SgmSettings`, as for all that follow.
        block_size: side of the blocks.
        mode: "3way", "5way" or "full".
        **settings: any other field of :class:`SgmSettings`.

    Returns:
        float32 [H, W] in pixels, NaN = no match.

    Raises:
        ImportError, TypeError, ValueError: as :class:`SgmSettings` and :func:`match` do.
    """
    return match(left, right, SgmSettings(num_disparities, block_size, mode, **settings)).disparity


def match(
    left: npt.NDArray[np.uint8], right: npt.NDArray[np.uint8], settings: SgmSettings
) -> Match:
    """Estimate the left view's disparity, and how far it is to be trusted.

    Both views are padded on the left, so that the first `num_disparities` columns get values too.
    The order of the steps: match, drop what the check from right to left contradicts, drop small
    islands, fill short gaps.

    Args:
        left: uint8 [H, W, 3] or [H, W].
        right: of the same shape; a point at column x on the left is at x - disparity on the right.
        settings: how.

    Returns:
        Disparities with steps of 1/16 pixel (interpolated ones aside), and :class:`Confidence`.

    Raises:
        ImportError: OpenCV is missing.
        TypeError: a view is not uint8.
        ValueError: the shapes of the views disagree or are not as above, or not 0 < P1 < P2.
    """
    _check_views(left, right)
    cv2, tolerance = require_cv2(), settings.left_right
    p1, p2 = settings.penalties(left.shape[2] if left.ndim == 3 else 1)
    # OpenCV's own check is done within one direction's costs; beyond all disparities it is off.
    own_check = settings.num_disparities if tolerance is None else max(1, round(tolerance))
    matcher = cv2.StereoSGBM_create(
        minDisparity=0,
        numDisparities=settings.num_disparities,
        blockSize=settings.block_size,
        P1=p1,
        P2=p2,
        disp12MaxDiff=own_check,
        preFilterCap=31,
        uniquenessRatio=settings.uniqueness,
        mode=getattr(cv2, _MODES[settings.mode]),
    )
    fixed = _match(matcher, left, right)
    confidence = np.full(fixed.shape, Confidence.UNCHECKED, np.uint8)
    if tolerance is not None:
        # Mirrored and swapped, the right view takes the left one's place.
        matcher.setUniquenessRatio(0)
        mirrored = _match(matcher, cv2.flip(right, 1), cv2.flip(left, 1))
        confidence = _compare(fixed, cv2.flip(mirrored, 1), tolerance * _FIXED_POINT)
        fixed[confidence == Confidence.INVALID] = _INVALID
    if settings.speckle_size:
        step = settings.surface_step * _FIXED_POINT
        cv2.filterSpeckles(fixed, _INVALID, settings.speckle_size, step)
    disparity = fixed.astype(np.float32) / np.float32(_FIXED_POINT)
    disparity[fixed < 0] = np.nan
    filled = _fill_gaps(disparity, settings.longest_gap, settings.surface_step)
    confidence[fixed < 0] = Confidence.FILLED
    confidence[np.isnan(filled)] = Confidence.INVALID
    return Match(filled, confidence)


def _match(
    matcher: Any, left: npt.NDArray[np.uint8], right: npt.NDArray[np.uint8]
) -> npt.NDArray[np.int16]:
    """Fixed-point disparities [H, W]; what has its match beyond the left edge is extrapolated."""
    cv2, pad = require_cv2(), matcher.getNumDisparities()
    views = (cv2.copyMakeBorder(v, 0, 0, pad, 0, cv2.BORDER_REPLICATE) for v in (left, right))
    try:
        fixed = matcher.compute(*views)[:, pad:]
    except cv2.error as error:  # memory, or a view narrower than half a block
        reason = " ".join(str(error).split())
        raise ValueError(f"views of {left.shape} cannot be matched: {reason}") from error
    return np.where(fixed < 0, np.int16(_INVALID), fixed)


def _compare(
    left: npt.NDArray[np.int16], right: npt.NDArray[np.int16], tolerance: float
) -> npt.NDArray[np.uint8]:
    """Confidence of the left view's disparities from those of the right view at their matches."""
    columns = np.arange(left.shape[1]) - np.rint(left / _FIXED_POINT).astype(int)
    there = np.take_along_axis(right, columns.clip(0, left.shape[1] - 1), axis=1)
    known = (columns >= 0) & (there >= 0)  # the match is in the right view, and has one itself
    agrees = np.abs(there.astype(int) - left) <= tolerance
    confidence = np.where(agrees, Confidence.CHECKED, Confidence.INVALID)
    confidence[~known] = Confidence.UNCHECKED
    confidence[left < 0] = Confidence.INVALID
    return confidence.astype(np.uint8)


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


def _check_settings(settings: SgmSettings) -> None:
    number, block = settings.num_disparities, settings.block_size
    if number <= 0 or number % 16:
        raise ValueError(f"num_disparities must be a positive multiple of 16, got {number}")
    if not 1 <= block <= 11 or block % 2 == 0:
        raise ValueError(f"block_size must be odd and in 1..11, got {block}")
    if settings.mode not in _MODES:
        raise ValueError(f"mode must be one of {', '.join(_MODES)}, got {settings.mode!r}")
    if not 0 <= settings.uniqueness <= 100:
        raise ValueError(f"uniqueness must be in 0..100 per cent, got {settings.uniqueness}")
    tolerance = settings.left_right
    if tolerance is not None and not 0 <= tolerance < math.inf:
        raise ValueError(f"left_right must be None or at least 0 px, got {tolerance}")
    for name in ("speckle_size", "surface_step", "longest_gap"):
        if getattr(settings, name) < 0:
            shown = "max_gap" if name == "longest_gap" else name
            raise ValueError(f"{shown} must be at least 0, got {getattr(settings, name)}")
