"""Multi-task dense prediction with losses weighed by learned homoscedastic uncertainty."""

from mtl_cuda import functional, reference
from mtl_cuda.modules import MultiTaskLoss, MultiTaskLossOutput
from mtl_cuda.tasks import CrossEntropyTask, InstanceOffsetTask, L1Task

__version__ = "0.1.0"

__all__ = [
    "CrossEntropyTask",
    "InstanceOffsetTask",
    "L1Task",
    "MultiTaskLoss",
    "MultiTaskLossOutput",
    "functional",
    "reference",
]
