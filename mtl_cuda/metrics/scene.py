"""All metrics of a scene at once, under the names that tables and files use."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from mtl_cuda.data.info import DatasetInfo
from mtl_cuda.metrics.accumulate import SumMetric
from mtl_cuda.metrics.depth import InverseDepthMetric
from mtl_cuda.metrics.instance import OffsetMetric
from mtl_cuda.metrics.instance_ap import InstanceAP
from mtl_cuda.metrics.panoptic_quality import PanopticQuality
from mtl_cuda.metrics.semantic import SegmentationMetric

TASKS = ("semantic", "instance", "depth")
"""Names of the tasks that a scene has."""

SEGMENTS = ("instances", "panoptic")
"""What instances of predicted classes and vectors are measured as: AP and PQ."""


class SceneMetrics:
    """The metrics of each task; their names carry the task's name, as in "semantic/miou".

    Args:
        info: class names and the unit of depth.
        tasks: names of the tasks to measure.
        segments: measure instances and the panoptic map too.

    Raises:
        ValueError: an unknown task; or `segments` of a data set without thing classes.
    """

    def __init__(
        self, info: DatasetInfo, tasks: Collection[str] = TASKS, *, segments: bool = False
    ) -> None:
        check_tasks(tasks)
        makers: dict[str, Callable[[], SumMetric]] = {
            "semantic": lambda: SegmentationMetric(info.class_names),
            "instance": OffsetMetric,
            "depth": lambda: InverseDepthMetric(info.depth_unit or "px"),
        }
        self._metrics = {task: makers[task]() for task in TASKS if task in tasks}
        if segments:
            self._metrics["instances"] = InstanceAP(info.class_names, info.thing_classes)
            self._metrics["panoptic"] = PanopticQuality(info.class_names, info.thing_classes)

    def update(self, predictions: Mapping[str, Any], targets: Mapping[str, Tensor]) -> None:
        """Count a batch; entries of other names are left alone.

        Args:
            predictions: at the size of the targets: "semantic" classes (integers [B,H,W], see
                :func:`predicted_classes`), "instance" vectors [B,2,H,W], "depth" [B,1,H,W]; and
                for segments "instances" (`InstanceClusters`), "panoptic" (`PanopticSegments`).
            targets: "semantic" [B,H,W], "instance" ids [B,H,W], "depth" [B,H,W]; segments are
                compared with the first two.

        Raises:
            KeyError: a task is missing from either.
            TypeError, ValueError: from the metric of a task.
        """
        for name, metric in self._metrics.items():
            metric.update(predictions[name], targets if name in SEGMENTS else targets[name])

    def compute(self) -> dict[str, float]:
        """Every metric, by "<task>/<metric>", "instances/<metric>" or "panoptic/<metric>"."""
        return {
            f"{task}/{name}": value
            for task, metric in self._metrics.items()
            for name, value in metric.compute().items()
        }

    def confusion(self) -> Tensor | None:
        """See `SegmentationMetric.confusion`; None without semantics."""
        semantic = self._metrics.get("semantic")
        return semantic.confusion() if isinstance(semantic, SegmentationMetric) else None

    def state(self) -> dict[str, Tensor]:
        """A copy of the sums of each task, and of the segments."""
        return {task: metric.state() for task, metric in self._metrics.items()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Replace all sums by those of `state`."""
        for task, metric in self._metrics.items():
            metric.load_state(state[task])

    def reset(self) -> None:
        """Forget everything seen."""
        for metric in self._metrics.values():
            metric.reset()


def check_tasks(tasks: Collection[str]) -> None:
    """Raise ValueError where `tasks` names one that a scene does not have."""
    unknown = [task for task in tasks if task not in TASKS]
    if unknown:
        raise ValueError(f"tasks: expected names from {TASKS}, got {unknown}")


_PER_CLASS = {
    "semantic/iou": "IoU",
    "instances/ap": "AP",
    "instances/ap50": "AP at IoU 0.5",
    "panoptic/pq": "PQ",
    "panoptic/sq": "SQ",
    "panoptic/rq": "RQ",
}


@dataclass(frozen=True)
class MetricInfo:
    """How a metric is shown: multiply by `factor`, write `unit` behind it."""

    label: str
    unit: str
    higher_is_better: bool
    factor: float = 1.0


def describe(key: str, depth_unit: str | None) -> MetricInfo:
    """How to show the metric that :meth:`SceneMetrics.compute` calls `key`.

    Raises:
        ValueError: there is no such metric.
    """
    depth = "Disparity" if depth_unit == "px" else "Inverse depth"
    unit = depth_unit or "px"
    known = {
        "semantic/miou": MetricInfo("Mean IoU", "%", True, 100.0),
        "semantic/pixel_accuracy": MetricInfo("Pixel accuracy", "%", True, 100.0),
        "instance/mean_error": MetricInfo("Instance vectors, mean error", "px", False),
        "instance/rms_error": MetricInfo("Instance vectors, RMS error", "px", False),
        "depth/mean_error": MetricInfo(f"{depth}, mean error", unit, False),
        "depth/rms_error": MetricInfo(f"{depth}, RMS error", unit, False),
        "instances/ap": MetricInfo("Instance AP", "%", True, 100.0),
        "instances/ap50": MetricInfo("Instance AP at IoU 0.5", "%", True, 100.0),
    }
    for part, suffix in (("", ""), (", things", "_things"), (", stuff", "_stuff")):
        for short, quality in (("pq", "Panoptic"), ("sq", "Segmentation"), ("rq", "Recognition")):
            label = f"{quality} quality{part}"
            known[f"panoptic/{short}{suffix}"] = MetricInfo(label, "%", True, 100.0)
    if key in known:
        return known[key]
    metric, _, label = key.rpartition("/")
    if metric in _PER_CLASS:
        return MetricInfo(f"{_PER_CLASS[metric]}, {label}", "%", True, 100.0)
    raise ValueError(f"key: expected a metric of SceneMetrics, got {key!r}")


def is_per_class(key: str) -> bool:
    """Whether a metric of :meth:`SceneMetrics.compute` is that of one class."""
    return key.count("/") == 2
