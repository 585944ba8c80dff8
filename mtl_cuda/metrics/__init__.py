"""How good predictions are: sums over batches, and the constant prediction to compare with."""

from mtl_cuda.metrics.constant import ConstantBaseline
from mtl_cuda.metrics.depth import InverseDepthMetric
from mtl_cuda.metrics.instance import OffsetMetric, target_offsets
from mtl_cuda.metrics.instance_ap import InstanceAP
from mtl_cuda.metrics.panoptic_quality import PanopticQuality
from mtl_cuda.metrics.scene import MetricInfo, SceneMetrics, describe, is_per_class
from mtl_cuda.metrics.semantic import SegmentationMetric, predicted_classes

__all__ = [
    "ConstantBaseline",
    "InstanceAP",
    "InverseDepthMetric",
    "MetricInfo",
    "OffsetMetric",
    "PanopticQuality",
    "SceneMetrics",
    "SegmentationMetric",
    "describe",
    "is_per_class",
    "predicted_classes",
    "target_offsets",
]
