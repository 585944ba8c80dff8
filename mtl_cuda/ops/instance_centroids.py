"""``torch.ops.mtl_cuda.instance_centroids``: schema, CPU kernel, fake kernel."""

from __future__ import annotations

import torch
from torch import Tensor

from mtl_cuda.native import library, view
from mtl_cuda.ops.library import LIBRARY

LIBRARY.define("instance_centroids(Tensor ids, int instances) -> (Tensor centroids, Tensor counts)")


@torch.library.impl("mtl_cuda::instance_centroids", "CPU", lib=LIBRARY)
def _instance_centroids_cpu(ids: Tensor, instances: int) -> tuple[Tensor, Tensor]:
    centroids = torch.empty(ids.shape[0], instances, 2, dtype=torch.float32)
    counts = torch.empty(ids.shape[0], instances, dtype=torch.int64)
    native = library()
    try:
        native.instance_centroids_cpu(
            view(ids),
            instances,
            centroids.data_ptr(),
            counts.data_ptr(),
            torch.get_num_threads(),
        )
    except native.BadLabel as error:
        _, value, image, row, column = error.args
        raise ValueError(
            f"ids: expected 0 to {instances}, got {value} at image {image}, row {row}, "
            f"column {column}"
        ) from None
    return centroids, counts


@torch.library.register_fake("mtl_cuda::instance_centroids", lib=LIBRARY)
def _instance_centroids_fake(ids: Tensor, instances: int) -> tuple[Tensor, Tensor]:
    shape = (ids.shape[0], instances)
    return ids.new_empty((*shape, 2), dtype=torch.float32), ids.new_empty(shape, dtype=torch.int64)
