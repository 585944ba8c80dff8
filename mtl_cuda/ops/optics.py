"""``torch.ops.mtl_cuda.optics`` and ``optics_xi``: schemas, CPU kernels, fake kernels."""

from __future__ import annotations

import torch
from torch import Tensor

from mtl_cuda.native import library
from mtl_cuda.ops.library import LIBRARY

Graph = tuple[Tensor, Tensor, Tensor, Tensor]

LIBRARY.define(
    "optics(Tensor points, float max_eps, int min_samples)"
    " -> (Tensor ordering, Tensor reachability, Tensor core_distances, Tensor predecessor)"
)
LIBRARY.define(
    "optics_xi(Tensor ordering, Tensor reachability, Tensor predecessor, int min_samples,"
    " int min_cluster_size, float xi, bool predecessor_correction) -> Tensor"
)


@torch.library.impl("mtl_cuda::optics", "CPU", lib=LIBRARY)
def _optics_cpu(points: Tensor, max_eps: float, min_samples: int) -> Graph:
    given = points.to(torch.float64).contiguous()
    graph = _optics_fake(points, max_eps, min_samples)
    addresses = tuple(tensor.data_ptr() for tensor in graph)
    library().optics_cpu(
        given.data_ptr(), len(points), max_eps, min_samples, addresses, torch.get_num_threads()
    )
    return graph


@torch.library.register_fake("mtl_cuda::optics", lib=LIBRARY)
def _optics_fake(points: Tensor, max_eps: float, min_samples: int) -> Graph:
    count = points.shape[0]
    return (
        points.new_empty(count, dtype=torch.int64),
        points.new_empty(count, dtype=torch.float64),
        points.new_empty(count, dtype=torch.float64),
        points.new_empty(count, dtype=torch.int64),
    )


@torch.library.impl("mtl_cuda::optics_xi", "CPU", lib=LIBRARY)
def _optics_xi_cpu(
    ordering: Tensor,
    reachability: Tensor,
    predecessor: Tensor,
    min_samples: int,
    min_cluster_size: int,
    xi: float,
    predecessor_correction: bool,
) -> Tensor:
    labels = torch.empty_like(ordering)
    order, reach, before = (
        ordering.contiguous(),
        reachability.contiguous(),
        predecessor.contiguous(),
    )
    library().optics_xi(
        (order.data_ptr(), reach.data_ptr(), 0, before.data_ptr()),
        len(ordering),
        min_samples,
        min_cluster_size,
        xi,
        predecessor_correction,
        labels.data_ptr(),
    )
    return labels


@torch.library.register_fake("mtl_cuda::optics_xi", lib=LIBRARY)
def _optics_xi_fake(
    ordering: Tensor,
    reachability: Tensor,
    predecessor: Tensor,
    min_samples: int,
    min_cluster_size: int,
    xi: float,
    predecessor_correction: bool,
) -> Tensor:
    return torch.empty_like(ordering)
