"""From two views and a label map to disparities and their confidence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from mtl_cuda.data.io import require_cv2
from mtl_cuda.data.labels import LABELS
from mtl_cuda.data.sgm import Confidence, Match, match
from mtl_cuda.data.stereo.options import StereoOptions

_BY_NAME = {label.name: label.id for label in LABELS}
_SKY = _BY_NAME["sky"]
_NOT_SCENE = [_BY_NAME[name] for name in ("ego vehicle", "rectification border", "out of roi")]


def match_views(
    left: npt.NDArray[np.uint8],
    right: npt.NDArray[np.uint8],
    options: StereoOptions,
    label_ids: npt.NDArray[np.uint8] | None = None,
) -> Match:
    """Match two views as the options say, and mask by label ids where they are given.

    Args:
        left: uint8 [H, W, 3] or [H, W].
        right: of the same shape.
        options: how.
        label_ids: uint8 [H, W], Cityscapes' regular ids.

    Raises:
        ImportError, TypeError, ValueError: as :func:`mtl_cuda.data.sgm.match` does.
        ValueError: `label_ids` has another size than the views.
    """
    found = (_match_half if options.half else _match_full)(left, right, options)
    if not options.mask_labels or label_ids is None:
        return found
    return _mask(found, label_ids, options.sky)


def _match_full(
    left: npt.NDArray[np.uint8], right: npt.NDArray[np.uint8], options: StereoOptions
) -> Match:
    return match(left, right, options.sgm)


def _match_half(
    left: npt.NDArray[np.uint8], right: npt.NDArray[np.uint8], options: StereoOptions
) -> Match:
    """A quarter of the pixels and half the disparities: about an eighth of the time."""
    height, width = left.shape[:2]
    half = replace(options.sgm, num_disparities=options.sgm.num_disparities // 2)
    small = match(_halved(left), _halved(right), half)
    disparity = 2 * _doubled(small.disparity, half.surface_step)
    confidence = small.confidence.repeat(2, axis=0).repeat(2, axis=1)
    return Match(disparity[:height, :width], confidence[:height, :width])


def _halved(view: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Means of blocks of 2 x 2; an odd last row or column counts twice."""
    cv2, (height, width) = require_cv2(), view.shape[:2]
    even = cv2.copyMakeBorder(view, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    size = (even.shape[1] // 2, even.shape[0] // 2)
    return cv2.resize(even, size, interpolation=cv2.INTER_AREA)


def _doubled(disparity: npt.NDArray[np.float32], step: float) -> npt.NDArray[np.float32]:
    """Interpolated within surfaces; repeated beside invalid pixels and where it jumps.

    A jump of h along one axis moves an interpolated value by h / 4 from the nearest one.
    """
    cv2, (height, width) = require_cv2(), disparity.shape
    nearest = disparity.repeat(2, axis=0).repeat(2, axis=1)
    smooth = cv2.resize(disparity, (2 * width, 2 * height), interpolation=cv2.INTER_LINEAR)
    return np.where(np.abs(smooth - nearest) <= step / 4, smooth, nearest)  # NaN: not <=


def _mask(found: Match, label_ids: npt.NDArray[np.uint8], sky: str) -> Match:
    if label_ids.shape != found.disparity.shape:
        raise ValueError(f"views are {found.disparity.shape}, but label ids {label_ids.shape}")
    disparity, confidence = found.disparity.copy(), found.confidence.copy()
    if sky == "far":
        disparity[label_ids == _SKY] = 0
        confidence[label_ids == _SKY] = Confidence.LABELLED
    dropped = _NOT_SCENE + [_SKY] * (sky == "invalid")
    invalid = np.isin(label_ids, dropped)
    disparity[invalid] = np.nan
    confidence[invalid] = Confidence.INVALID
    return Match(disparity, confidence)
