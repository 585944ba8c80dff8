"""The best constant prediction: what a network must beat to have learned anything."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from mtl_cuda.data.info import DatasetInfo
from mtl_cuda.data.scene import IGNORE
from mtl_cuda.metrics.instance import target_offsets
from mtl_cuda.metrics.scene import TASKS, check_tasks
from mtl_cuda.metrics.semantic import NO_CLASS, check_classes


class MedianHistogram:
    """The median of any number of float32 values in 2 MiB.

    Bins hold the values that share sign, exponent and the first 9 bits of the mantissa, so the
    median is exact for 0 and for integers up to 1024, and else at most 0.2 % too near to 0.
    """

    _DROPPED_BITS = 14
    _HALF = 1 << (31 - _DROPPED_BITS)

    def __init__(self) -> None:
        self._counts = torch.zeros(2 * self._HALF, dtype=torch.int64)

    def update(self, values: Tensor) -> None:
        """Count values of any shape; NaN is left out."""
        values = values[~values.isnan()].float()
        magnitude = values.abs().view(torch.int32).long() >> self._DROPPED_BITS
        bins = torch.where(values < 0, -magnitude, magnitude) + self._HALF
        counts = torch.bincount(bins, minlength=2 * self._HALF)
        self._counts = self._counts.to(counts.device) + counts

    def state(self) -> Tensor:
        """A copy of the counts, which can be added to those of another process."""
        return self._counts.clone()

    def load_state(self, counts: Tensor) -> None:
        """Replace the counts by `state` of another, or a sum of such."""
        self._counts = counts.clone()

    def median(self) -> float:
        """The lower median; NaN where nothing was counted."""
        total = int(self._counts.sum())
        if total == 0:
            return float("nan")
        below = self._counts.cumsum(dim=0)
        place = int((below < (total + 1) // 2).sum()) - self._HALF
        bits = torch.tensor(abs(place) << self._DROPPED_BITS, dtype=torch.int32)
        magnitude = bits.view(torch.float32).item()
        return -magnitude if place < 0 else magnitude


class ConstantBaseline:
    """Predicts the same everywhere: the constants that fit the training targets best.

    The most frequent class; and the medians of the instance vectors (per axis, over instance
    pixels) and of inverse depth, which minimise the mean absolute errors.

    Args:
        info: of the data set.
        tasks: names of the tasks to fit.

    Raises:
        ValueError: an unknown task.
    """

    def __init__(self, info: DatasetInfo, tasks: Collection[str] = TASKS) -> None:
        check_tasks(tasks)
        self.tasks = tuple(task for task in TASKS if task in tasks)
        self._classes = torch.zeros(info.num_classes, dtype=torch.int64)
        self._offsets = (MedianHistogram(), MedianHistogram())
        self._depth = MedianHistogram()

    def update(self, targets: Mapping[str, Tensor]) -> None:
        """Count a training batch.

        Args:
            targets: for each task [B,H,W]: "semantic" trainIds (255 ignored), "instance" ids (0 =
                none), "depth" (NaN = invalid). Other entries are left alone.

        Raises:
            KeyError: a task is missing.
            ValueError: a trainId is no class.
        """
        if "semantic" in self.tasks:
            self._count_classes(targets["semantic"])
        if "instance" in self.tasks:
            offsets = target_offsets(targets["instance"])
            for axis, histogram in enumerate(self._offsets):
                histogram.update(offsets[:, axis])
        if "depth" in self.tasks:
            self._depth.update(targets["depth"])

    def state(self) -> dict[str, Tensor]:
        """A copy of all counts, by name; those of several processes are merged by adding them."""
        x, y = self._offsets
        return {
            "semantic": self._classes.clone(),
            "instance/x": x.state(),
            "instance/y": y.state(),
            "depth": self._depth.state(),
        }

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Replace all counts by those of `state`."""
        self._classes = state["semantic"].clone()
        for histogram, name in zip(
            (*self._offsets, self._depth), ("instance/x", "instance/y", "depth")
        ):
            histogram.load_state(state[name])

    def constants(self) -> dict[str, int | float | tuple[float, float]]:
        """The prediction of each task: a class (-1: no pixel seen), (x, y) in pixels, a number."""
        classes = int(self._classes.argmax()) if self._classes.any() else NO_CLASS
        values: dict[str, int | float | tuple[float, float]] = {
            "semantic": classes,
            "instance": (self._offsets[0].median(), self._offsets[1].median()),
            "depth": self._depth.median(),
        }
        return {task: values[task] for task in self.tasks}

    def predict(self, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The constants in the shapes that :meth:`SceneMetrics.update` takes for `targets`."""
        predictions = {}
        for task, value in self.constants().items():
            batch, height, width = targets[task].shape
            constant = torch.tensor(value, device=targets[task].device)
            shape = (batch, height, width) if task == "semantic" else (batch, -1, height, width)
            predictions[task] = constant.view(-1, 1, 1).expand(shape)
        return predictions

    def _count_classes(self, target: Tensor) -> None:
        labels = target[target != IGNORE].long()
        check_classes("targets['semantic']", labels, 0, len(self._classes))
        counts = torch.bincount(labels, minlength=len(self._classes))
        self._classes = self._classes.to(counts.device) + counts
