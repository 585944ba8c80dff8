"""The error for a label or an id that a task does not have, the same wherever it is found."""

from __future__ import annotations

import torch
from torch import Tensor

from mtl_cuda.tasks import MAX_INSTANCE_ID


def bad_label_error(
    name: str, classes: int | None, ignore_index: int, value: int, place: tuple[int, int, int]
) -> ValueError:
    """The error for a value at (image, row, column); ``classes`` is None for instance ids."""
    if classes is None:
        expected = f"instance ids 0 (none) to {MAX_INSTANCE_ID}, numbered per image"
    else:
        expected = f"classes 0..{classes - 1} or ignore_index={ignore_index}"
    image, row, column = place
    return ValueError(
        f"targets[{name!r}]: expected {expected}, got {value} at image {image}, row {row}, "
        f"column {column}"
    )


def check_labels(labels: Tensor, name: str, classes: int | None, ignore_index: int) -> None:
    """Raise for the first bad label of [B,H,W]; on a GPU this waits for the device."""
    if classes is None:
        bad = (labels < 0) | (labels > MAX_INSTANCE_ID)
    else:
        bad = ((labels < 0) | (labels >= classes)) & (labels != ignore_index)
    if not bool(bad.any()):
        return
    image, row, column = torch.nonzero(bad)[0].tolist()
    value = int(labels[image, row, column])
    raise bad_label_error(name, classes, ignore_index, value, (image, row, column))
