"""Multi-task dense prediction with losses weighed by learned homoscedastic uncertainty.

Names are imported when they are first used, so that `import mtl_cuda` does not load torch: the
command line answers at once, and can still set what torch reads from the environment.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtl_cuda import functional, reference, weighting
    from mtl_cuda.clustering.instances import cluster_instances
    from mtl_cuda.clustering.ordering import optics
    from mtl_cuda.clustering.points import dbscan
    from mtl_cuda.inference.model import load_model
    from mtl_cuda.modules import MultiTaskLoss, MultiTaskLossOutput
    from mtl_cuda.tasks import CrossEntropyTask, InstanceOffsetTask, L1Task

__version__ = "0.1.0"

__all__ = [
    "CrossEntropyTask",
    "InstanceOffsetTask",
    "L1Task",
    "MultiTaskLoss",
    "MultiTaskLossOutput",
    "cluster_instances",
    "dbscan",
    "functional",
    "load_model",
    "optics",
    "reference",
    "weighting",
]

_MODULES = {
    "CrossEntropyTask": "tasks",
    "InstanceOffsetTask": "tasks",
    "L1Task": "tasks",
    "MultiTaskLoss": "modules",
    "MultiTaskLossOutput": "modules",
    "cluster_instances": "clustering.instances",
    "dbscan": "clustering.points",
    "load_model": "inference.model",
    "optics": "clustering.ordering",
}


def __getattr__(name: str) -> Any:
    if name in ("functional", "reference", "weighting"):
        return importlib.import_module(f"mtl_cuda.{name}")
    if name in _MODULES:
        return getattr(importlib.import_module(f"mtl_cuda.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'mtl_cuda' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
