"""Semantic segmentation: intersection over union and pixel accuracy."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mtl_cuda.metrics.accumulate import SumMetric, check_integer, check_map, check_shape

NO_CLASS = -1
"""What :func:`predicted_classes` writes where the network's output is no number."""


def predicted_classes(logits: Tensor) -> Tensor:
    """The most likely class of every pixel, int64 [B,H,W], of logits [B,C,H,W].

    Where a logit is NaN the class is -1, so that a network that has diverged is not mistaken for
    one that predicts class 0 (:class:`SegmentationMetric` then gives NaN).
    """
    largest, classes = logits.max(dim=1)
    return classes.masked_fill_(largest.isnan(), NO_CLASS)


class SegmentationMetric(SumMetric):
    """IoU per class, their mean, and pixel accuracy, from one confusion matrix over all pixels.

    The matrix is pooled over the images, as the Cityscapes benchmark has it: IoU = TP / (TP + FP +
    FN), counted over all labelled pixels of the data set. Pixels whose target is `ignore_index`
    count nowhere, whatever is predicted there. The mean goes over the classes that occur in the
    targets or in the predictions; a class that occurs in neither has IoU NaN and is left out.

    Args:
        class_names: name of each class 0..C-1, at least one.
        ignore_index: target value of pixels to leave out.

    Raises:
        ValueError: no class names.
    """

    def __init__(self, class_names: Sequence[str], ignore_index: int = 255) -> None:
        if not class_names:
            raise ValueError("class_names: expected at least one class, got none")
        self.class_names = tuple(class_names)
        self.ignore_index = ignore_index
        # Row = target, column = prediction; the last column counts predictions of no class.
        super().__init__((len(class_names), len(class_names) + 1), torch.int64)

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Count a batch.

        Args:
            prediction: integers [B,H,W], classes 0..C-1, or -1 where the prediction was no number.
            target: integers [B,H,W], classes 0..C-1 or `ignore_index`.

        Raises:
            TypeError: not integers.
            ValueError: shapes differ, or a value at a valid pixel is no class.
        """
        for name, tensor in (("prediction", prediction), ("target", target)):
            check_integer(name, tensor)
        check_map("target", target)
        check_shape("prediction", prediction, tuple(target.shape), "target")
        # Widened first: compared with uint8, a negative ignore_index would wrap around.
        target = target.long()
        valid = target != self.ignore_index
        expected, found = target[valid], prediction[valid].long()
        classes = len(self.class_names)
        check_classes("target", expected, 0, classes)
        check_classes("prediction", found, NO_CLASS, classes)
        found = torch.where(found == NO_CLASS, classes, found)
        pairs = expected * (classes + 1) + found
        self._add(torch.bincount(pairs, minlength=self._sums.numel()).view(self._sums.shape))

    def confusion(self) -> Tensor:
        """Counts int64 [C, C + 1]: row = target, column = prediction, the last for none."""
        return self._sums.cpu()

    def compute(self) -> dict[str, float]:
        """`miou`, `pixel_accuracy` and `iou/<class name>`, fractions in 0..1.

        All are NaN when a prediction at a valid pixel was no number.
        """
        confusion = self._sums.to("cpu", torch.float64)
        if confusion[:, -1].any():
            confusion = torch.full_like(confusion, torch.nan)
        hits = confusion[:, :-1].diagonal()
        union = confusion.sum(dim=1) + confusion[:, :-1].sum(dim=0) - hits
        iou = hits / union  # 0/0 = NaN marks a class that does not occur
        present = iou[union != 0]
        return {
            "miou": present.mean().item(),
            "pixel_accuracy": (hits.sum() / confusion.sum()).item(),
            **{f"iou/{name}": value for name, value in zip(self.class_names, iou.tolist())},
        }


def check_classes(name: str, values: Tensor, lowest: int, classes: int) -> None:
    """Raise ValueError unless all of `values`, called `name`, are in lowest..classes-1."""
    if values.numel() == 0:
        return
    smallest, largest = (int(value) for value in values.aminmax())
    if smallest < lowest or largest >= classes:
        bad = smallest if smallest < lowest else largest
        raise ValueError(f"{name}: expected classes {lowest}..{classes - 1}, got {bad}")
