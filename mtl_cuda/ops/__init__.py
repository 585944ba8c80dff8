"""The ops ``torch.ops.mtl_cuda.*``: importing this package registers them with PyTorch."""

from mtl_cuda.ops import (
    argmax_upsampled,
    cluster_instances,
    dbscan,
    instance_centroids,
    loss_autograd,
    multi_task_loss,
    optics,
)

__all__ = [
    "argmax_upsampled",
    "cluster_instances",
    "dbscan",
    "instance_centroids",
    "loss_autograd",
    "multi_task_loss",
    "optics",
]
