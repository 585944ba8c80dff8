"""``torch.ops.mtl_cuda.dbscan``: schema, kernels, fake kernel."""

from __future__ import annotations

import torch
from torch import Tensor

from mtl_cuda.native import cuda_library, current_stream, library
from mtl_cuda.ops.library import LIBRARY

BORDERS = (
    "dbscan",
    "optics",
    "nearest",
    "none",
)  # their places are csrc/cluster/border.h's numbers

LIBRARY.define(
    "dbscan(Tensor points, float eps, int min_samples, str border) -> (Tensor labels, Tensor core)"
)


@torch.library.impl("mtl_cuda::dbscan", "CPU", lib=LIBRARY)
def _dbscan_cpu(points: Tensor, eps: float, min_samples: int, border: str) -> tuple[Tensor, Tensor]:
    given = points.to(torch.float64).contiguous()
    labels = torch.empty(len(points), dtype=torch.int32)
    core = torch.empty(len(points), dtype=torch.bool)
    library().dbscan_cpu(
        given.data_ptr(),
        len(points),
        eps,
        min_samples,
        BORDERS.index(border),
        labels.data_ptr(),
        core.data_ptr(),
        torch.get_num_threads(),
    )
    return labels, core


@torch.library.impl("mtl_cuda::dbscan", "CUDA", lib=LIBRARY)
def _dbscan_cuda(
    points: Tensor, eps: float, min_samples: int, border: str
) -> tuple[Tensor, Tensor]:
    native = cuda_library()
    given = points.to(torch.float64).contiguous()
    labels, core = _dbscan_fake(points, eps, min_samples, border)
    with torch.cuda.device(points.device):
        workspace = points.new_empty(native.dbscan_workspace(len(points)), dtype=torch.uint8)
        native.dbscan_cuda(
            given.data_ptr(),
            len(points),
            eps,
            min_samples,
            BORDERS.index(border),
            labels.data_ptr(),
            core.data_ptr(),
            workspace.data_ptr(),
            current_stream(),
        )
    return labels, core


@torch.library.register_fake("mtl_cuda::dbscan", lib=LIBRARY)
def _dbscan_fake(
    points: Tensor, eps: float, min_samples: int, border: str
) -> tuple[Tensor, Tensor]:
    count = points.shape[0]
    return points.new_empty(count, dtype=torch.int32), points.new_empty(count, dtype=torch.bool)
