"""``torch.ops.mtl_cuda.instance_centroids``: schema, CPU kernel, fake kernel."""

from __future__ import annotations

import torch
from torch import Tensor

from mtl_cuda.native import cuda_library, current_stream, library, view
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


@torch.library.impl("mtl_cuda::instance_centroids", "CUDA", lib=LIBRARY)
def _instance_centroids_cuda(ids: Tensor, instances: int) -> tuple[Tensor, Tensor]:
    centroids = ids.new_empty((ids.shape[0], instances, 2), dtype=torch.float32)
    counts = ids.new_empty((ids.shape[0], instances), dtype=torch.int64)
    native = cuda_library()
    with torch.cuda.device(ids.device):
        workspace = ids.new_empty(
            native.instance_centroids_workspace(ids.shape[0]), dtype=torch.uint8
        )
        native.instance_centroids_cuda(
            view(ids),
            instances,
            centroids.data_ptr(),
            counts.data_ptr(),
            workspace.data_ptr(),
            current_stream(),
        )
    return centroids, counts


@torch.library.register_fake("mtl_cuda::instance_centroids", lib=LIBRARY)
def _instance_centroids_fake(ids: Tensor, instances: int) -> tuple[Tensor, Tensor]:
    shape = (ids.shape[0], instances)
    return ids.new_empty((*shape, 2), dtype=torch.float32), ids.new_empty(shape, dtype=torch.int64)
