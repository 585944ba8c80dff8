"""Average precision of instances, by the rules of Cityscapes.

Source: Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding", CVPR 2016,
and its evaluation scripts, whose results are reproduced here
(https://github.com/mcordts/cityscapesScripts).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mtl_cuda.clustering.result import InstanceClusters
from mtl_cuda.metrics.accumulate import SumMetric
from mtl_cuda.metrics.overlap import (
    Counts,
    Overlaps,
    check_maps,
    count_overlaps,
    intersection_over_union,
)

SCORE_STEPS = 10_000
"""Scores are told apart in steps of one over this."""

# Summed as the official evaluation does it: 0.7000000000000002 and not 0.7.
_THRESHOLDS = np.arange(0.5, 1.0, 0.05)
_TRUE, _FALSE = 0, 1
_NO_SCORE = 0


class InstanceAP(SumMetric):
    """Average precision of instances, pooled over the images.

    For each class and each of the ten thresholds t = 0.50, 0.55, ... 0.95: a true instance is
    found when a predicted one of its class has an intersection over union above t with it. Other
    predictions are false, unless

    - the IoU with a group of their class, or with an instance smaller than `min_region`, is above
      t; or
    - more than the share t of their pixels lies on void, groups of their class, or such small
      instances.

    AP is the area under the curve of precision over recall, by the trapezoidal rule over all
    scores and the point (recall 0, precision 1). A class without a true instance has AP NaN and is
    left out of the means. Groups are pixels of a thing class without an instance id; void is
    trainId 255. (One difference: an instance of a class that is not evaluated, a caravan or a
    trailer, is void here; the official script calls a prediction there false.)

    The sums are histograms of scores, in steps of 1e-4: scores in one step are tied. So the memory
    is the same for any number of images.

    Args:
        class_names: name of each class 0..C-1.
        thing_classes: classes to measure.
        min_region: smallest true instance that is looked for, in pixels.

    Raises:
        ValueError: no thing class, or one that is no class.
    """

    def __init__(
        self, class_names: Sequence[str], thing_classes: Sequence[int], min_region: int = 100
    ) -> None:
        bad = [c for c in thing_classes if not 0 <= c < len(class_names)]
        if bad or not thing_classes:
            raise ValueError(
                f"thing_classes: expected some of 0..{len(class_names) - 1}, got "
                f"{list(thing_classes)}"
            )
        self.thing_classes = tuple(thing_classes)
        self.names = tuple(class_names[c] for c in thing_classes)
        self.min_region = min_region
        # True instances by the score of what found them, and false predictions by their score; the
        # first bin is for true instances that nothing found.
        shape = (len(thing_classes), len(_THRESHOLDS), 2, SCORE_STEPS + 2)
        super().__init__(shape, torch.int64)

    def update(self, prediction: InstanceClusters, target: Mapping[str, Tensor]) -> None:
        """Count a batch.

        Args:
            prediction: ids [B,H,W] with the class and the score in 0..1 of each instance.
            target: "semantic", trainIds [B,H,W], 255 = void; "instance", ids [B,H,W], 0 = none.

        Raises:
            KeyError: a target is missing.
            TypeError: maps without integers.
            ValueError: shapes differ, or an id, class or score is out of range.
        """
        semantic, instance = check_maps(prediction.ids, target)
        places = [
            self._count(*one)
            for one in zip(
                prediction.ids, prediction.classes, prediction.scores, semantic, instance
            )
        ]
        if places:
            place = torch.from_numpy(np.concatenate(places)).to(self._sums.device)
            self._sums.view(-1).index_add_(0, place, torch.ones_like(place))

    def compute(self) -> dict[str, float]:
        """`ap` and `ap50`, then `ap/<class>` and `ap50/<class>` of each thing class, in 0..1."""
        sums = self._sums.cpu().numpy()
        area = np.array([[_area(histogram) for histogram in one] for one in sums])
        ap, ap50 = area.mean(axis=1), area[:, 0]
        return {
            "ap": _mean(ap),
            "ap50": _mean(ap50),
            **{f"ap/{name}": float(value) for name, value in zip(self.names, ap)},
            **{f"ap50/{name}": float(value) for name, value in zip(self.names, ap50)},
        }

    def _count(
        self, ids: Tensor, classes: Tensor, scores: Tensor, semantic: Tensor, instance: Tensor
    ) -> Counts:
        """Where the histograms grow by one for an image, as places in the flattened sums."""
        overlaps = count_overlaps(ids, len(classes), semantic, instance)
        kinds, bins = classes.cpu().numpy(), _score_bins(scores)
        iou = intersection_over_union(overlaps, kinds, overlaps.predicted_areas)
        small = overlaps.true_areas < self.min_region
        sought = overlaps.is_instance & ~small
        # Segments do not overlap, so an IoU above one half has no rival on either side.
        finders = np.pad(iou, ((1, 0), (0, 0)))[:, sought]  # first: nothing
        found = np.concatenate([[_NO_SCORE], bins])[finders.argmax(axis=0)]
        found = np.where(finders.max(axis=0) > _THRESHOLDS[:, None], found, _NO_SCORE)
        excuse = np.maximum(iou.max(axis=1, initial=0.0), _ignored_share(overlaps, kinds, small))
        false = (excuse <= _THRESHOLDS[:, None]) & (overlaps.predicted_areas > 0)
        return np.concatenate(
            [
                self._places(_TRUE, overlaps.true_classes[sought], found, np.ones_like(found)),
                self._places(_FALSE, kinds, np.broadcast_to(bins, false.shape), false),
            ]
        )

    def _places(
        self, kind: int, classes: Counts, bins: Counts, counted: npt.NDArray[Any]
    ) -> Counts:
        """Places of bins [T, N], of N segments of the given classes, where `counted` [T, N]."""
        order = {label: place for place, label in enumerate(self.thing_classes)}
        rows = np.array([order.get(label, -1) for label in classes.tolist()], np.int64)
        threshold, segment = np.nonzero(counted & (rows >= 0))
        index = (rows[segment], threshold, np.full_like(segment, kind), bins[threshold, segment])
        return np.ravel_multi_index(index, self._sums.shape)


def _score_bins(scores: Tensor) -> Counts:
    values = scores.double().cpu().numpy()
    bad = values[~((values >= 0) & (values <= 1))]
    if len(bad):
        raise ValueError(f"scores: expected numbers in 0..1, got {bad[0]}")
    return 1 + np.rint(values * SCORE_STEPS).astype(np.int64)


def _ignored_share(
    overlaps: Overlaps, kinds: Counts, small: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Share of each prediction on void, groups and small instances of its class.

    A group that is small counts twice, as it does in the official evaluation.
    """
    same = kinds[:, None] == overlaps.true_classes
    weight = (~overlaps.is_instance).astype(np.int64) + small
    pixels = overlaps.void + np.where(same, overlaps.shared * weight, 0).sum(axis=1)
    return pixels / np.maximum(overlaps.predicted_areas, 1)


def _area(histogram: Counts) -> float:
    """Area under the curve of precision over recall of one class at one threshold."""
    wanted = histogram[_TRUE].sum()
    if wanted == 0:
        return float("nan")
    scored = histogram[:, _NO_SCORE + 1 :]
    scored = scored[:, scored.any(axis=0)]
    true, false = scored[:, ::-1].cumsum(axis=1)  # with the best score first
    recall = np.concatenate([[0.0], true / wanted])
    precision = np.concatenate([[1.0], true / (true + false)])
    return float(np.sum(np.diff(recall) * (precision[1:] + precision[:-1])) / 2)


def _mean(values: npt.NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
