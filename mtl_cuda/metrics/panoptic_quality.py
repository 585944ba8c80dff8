"""Panoptic quality.

Source: Kirillov et al., "Panoptic Segmentation", CVPR 2019, arXiv 1801.00868, with the treatment of
void and of groups in the evaluation scripts of COCO and Cityscapes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mtl_cuda.clustering.panoptic import PanopticSegments
from mtl_cuda.metrics.accumulate import SumMetric
from mtl_cuda.metrics.overlap import (
    Counts,
    Overlaps,
    check_maps,
    count_overlaps,
    intersection_over_union,
)

_MATCH = 0.5
_IGNORED = 0.5


class PanopticQuality(SumMetric):
    """PQ = SQ * RQ per class and as means over all classes, things and stuff.

    A predicted and a true segment of one class match when their intersection over union, void left
    out, is above one half. With the sum of the IoUs of the TP matches, SQ = sum / TP and RQ = TP /
    (TP + FP / 2 + FN / 2). True segments are instances, and each class of stuff in an image; void
    is trainId 255. A group (pixels of a thing class without an instance id) is never missed. A
    prediction without a match is left out where more than half of it lies on void and groups of its
    class. Classes that occur in neither the targets nor the predictions are left out of the means.

    Args:
        class_names: name of each class 0..C-1, at least one.
        thing_classes: classes with instances; the others are stuff.

    Raises:
        ValueError: no class names, or a thing class that is no class.
    """

    def __init__(self, class_names: Sequence[str], thing_classes: Collection[int]) -> None:
        if not class_names:
            raise ValueError("class_names: expected at least one class, got none")
        bad = [c for c in thing_classes if not 0 <= c < len(class_names)]
        if bad:
            raise ValueError(f"thing_classes: expected 0..{len(class_names) - 1}, got {bad}")
        self.class_names = tuple(class_names)
        self.is_thing = np.isin(np.arange(len(class_names)), list(thing_classes))
        # Columns: sum of IoU, matches, false and missed segments.
        super().__init__((len(class_names), 4), torch.float64)

    def update(self, prediction: PanopticSegments, target: Mapping[str, Tensor]) -> None:
        """Count a batch.

        Args:
            prediction: see :func:`mtl_cuda.clustering.panoptic.merge_panoptic`.
            target: "semantic", trainIds [B,H,W], 255 = void; "instance", ids [B,H,W], 0 = none.

        Raises:
            KeyError: a target is missing.
            TypeError: maps without integers.
            ValueError: shapes differ, or an id or class is out of range.
        """
        semantic, instance = check_maps(prediction.ids, target)
        for ids, classes, own_semantic, own_instance in zip(
            prediction.ids, prediction.classes, semantic, instance
        ):
            overlaps = count_overlaps(ids, len(classes), own_semantic, own_instance)
            sums = self._count(overlaps, classes.cpu().numpy())
            self._add(torch.from_numpy(sums).to(self._sums.device))

    def compute(self) -> dict[str, float]:
        """`pq`, `sq`, `rq`, the same with `_things` and `_stuff`, and as `pq/<class>`; in 0..1."""
        iou, matches, false, missed = self._sums.cpu().numpy().T
        with np.errstate(invalid="ignore"):
            segments = matches + (false + missed) / 2
            present = segments > 0
            rq = matches / segments  # 0/0 = NaN marks a class that does not occur
            sq = np.where(present, iou / np.maximum(matches, 1), np.nan)
        values = {"pq": sq * rq, "sq": sq, "rq": rq}
        kinds = {"": True, "_things": self.is_thing, "_stuff": ~self.is_thing}
        means = {
            name + suffix: _mean(per_class[present & kind])
            for suffix, kind in kinds.items()
            for name, per_class in values.items()
        }
        return means | {
            f"{name}/{label}": float(value)
            for name, per_class in values.items()
            for label, value in zip(self.class_names, per_class)
        }

    def _count(self, overlaps: Overlaps, kinds: Counts) -> npt.NDArray[np.float64]:
        """What an image adds to the sums."""
        true, size = overlaps.true_classes, len(self.class_names)
        for name, labels in (("prediction", kinds), ("target", true)):
            if ((labels < 0) | (labels >= size)).any():
                raise ValueError(
                    f"{name}: expected classes 0..{size - 1}, got {sorted(set(labels.tolist()))}"
                )
        group = self.is_thing[true] & ~overlaps.is_instance
        areas = overlaps.predicted_areas - overlaps.void
        iou = np.where(group, 0.0, intersection_over_union(overlaps, kinds, areas))
        # Segments do not overlap, so an IoU above one half has no rival on either side.
        match = iou > _MATCH
        on_group = np.where(group & (kinds[:, None] == true), overlaps.shared, 0).sum(axis=1)
        ignored = overlaps.void + on_group > _IGNORED * overlaps.predicted_areas
        false = ~match.any(axis=1) & ~ignored & (overlaps.predicted_areas > 0)
        missed = ~match.any(axis=0) & ~group
        predicted, found = np.nonzero(match)
        parts = [
            np.bincount(kinds[predicted], iou[predicted, found], size),
            np.bincount(kinds[predicted], minlength=size),
            np.bincount(kinds[false], minlength=size),
            np.bincount(true[missed], minlength=size),
        ]
        return np.stack(parts, axis=1).astype(np.float64)


def _mean(values: npt.NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else float("nan")
