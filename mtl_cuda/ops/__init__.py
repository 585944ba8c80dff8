"""The ops ``torch.ops.mtl_cuda.*``: importing this package registers them with PyTorch."""

from mtl_cuda.ops import (
    cluster_instances,
    dbscan,
    instance_centroids,
    loss_autograd,
    multi_task_loss,
    optics,
)

__all__ = [
    "cluster_instances",
    "dbscan",
    "instance_centroids",
    "loss_autograd",
    "multi_task_loss",
    "optics",
]
