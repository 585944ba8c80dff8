"""``torch.ops.mtl_cuda.cluster_instances``: schema, kernels, fake kernel.

On CUDA devices ``cluster_instances_tables`` does the work without waiting for the device: it leaves
the numbers of instances there, and tables of a fixed size. ``cluster_instances`` reads the numbers.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mtl_cuda.native import cuda_library, current_stream, library, optional_view, view
from mtl_cuda.ops.dbscan import BORDERS
from mtl_cuda.ops.library import LIBRARY

# In the order of csrc/cluster/cluster_instances.h.
METHODS = ("density", "grid")

Six = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


class TooManyClustersError(ValueError):
    """More clusters in an image than a CUDA device takes; the CPU takes any number."""


_ARGUMENTS = (
    "(Tensor offsets, Tensor semantic, Tensor? probabilities, int[] thing_classes, str method,"
    " float eps, int min_samples, str border, int cells_per_pixel, float margin,"
    " float max_distance, int min_pixels, bool class_agnostic)"
)
# Tables of all images, one after the other; image i has per_image[i] rows.
LIBRARY.define(
    f"cluster_instances{_ARGUMENTS} -> (Tensor ids, Tensor per_image, Tensor classes,"
    " Tensor centroids, Tensor counts, Tensor scores)"
)
# Tables [B,R,...], of which image i uses found[i] rows; negative: so many clusters are too many.
LIBRARY.define(
    f"cluster_instances_tables{_ARGUMENTS} -> (Tensor ids, Tensor found, Tensor classes,"
    " Tensor centroids, Tensor counts, Tensor scores)"
)


def _settings(
    native: Any,
    thing_classes: list[int],
    method: str,
    eps: float,
    min_samples: int,
    border: str,
    cells_per_pixel: int,
    *rest: Any,
) -> Any:
    """The native form of the arguments behind the tensors."""
    numbers = (METHODS.index(method), eps, min_samples, BORDERS.index(border), cells_per_pixel)
    return native.InstanceSettings(*numbers, *rest, thing_classes)


@torch.library.impl("mtl_cuda::cluster_instances", "CPU", lib=LIBRARY)
def _cluster_instances_cpu(
    offsets: Tensor, semantic: Tensor, probabilities: Tensor | None, *arguments: Any
) -> Six:
    native = library()
    votes = offsets if offsets.dtype == torch.float64 else offsets.float()
    shares = None if probabilities is None else probabilities.float()
    ids = torch.empty(semantic.shape, dtype=torch.int32)
    image, classes, x, y, pixels, scores = native.cluster_instances_cpu(
        view(votes),
        view(semantic),
        optional_view(shares),
        _settings(native, *arguments),
        ids.data_ptr(),
        torch.get_num_threads(),
    )
    return (
        ids,
        torch.bincount(torch.tensor(image, dtype=torch.int64), minlength=len(ids)),
        torch.tensor(classes, dtype=torch.int64),
        torch.stack([torch.tensor(x), torch.tensor(y)], dim=1),
        torch.tensor(pixels, dtype=torch.int64),
        torch.tensor(scores, dtype=torch.float32),
    )


@torch.library.impl("mtl_cuda::cluster_instances", "CUDA", lib=LIBRARY)
def _cluster_instances_cuda(
    offsets: Tensor, semantic: Tensor, probabilities: Tensor | None, *arguments: Any
) -> Six:
    ids, found, *tables = torch.ops.mtl_cuda.cluster_instances_tables(
        offsets, semantic, probabilities, *arguments
    )
    numbers = found.tolist()
    if min(numbers, default=0) < 0:
        raise TooManyClustersError(
            f"min_samples: expected a number that leaves at most {library().MAX_CLUSTERS} clusters "
            f"in an image on a CUDA device, got {-min(numbers)} clusters; raise it"
        )
    used = torch.arange(tables[0].shape[1], device=found.device) < found[:, None]
    classes, centroids, counts, scores = (table[used] for table in tables)
    return ids, found.long(), classes, centroids, counts, scores


@torch.library.impl("mtl_cuda::cluster_instances_tables", "CUDA", lib=LIBRARY)
def _cluster_instances_tables_cuda(
    offsets: Tensor, semantic: Tensor, probabilities: Tensor | None, *arguments: Any
) -> Six:
    native = cuda_library()
    results = _cluster_instances_tables_fake(offsets, semantic, probabilities, *arguments)
    settings = _settings(native, *arguments)
    with torch.cuda.device(offsets.device):
        workspace = semantic.new_empty(
            native.cluster_instances_workspace(view(offsets), settings), dtype=torch.uint8
        )
        native.cluster_instances_cuda(
            view(offsets),
            view(semantic),
            optional_view(probabilities),
            settings,
            tuple(tensor.data_ptr() for tensor in results),
            workspace.data_ptr(),
            current_stream(),
        )
    return results


@torch.library.register_fake("mtl_cuda::cluster_instances", lib=LIBRARY)
def _cluster_instances_fake(
    offsets: Tensor, semantic: Tensor, probabilities: Tensor | None, *arguments: Any
) -> Six:
    instances = torch.library.get_ctx().new_dynamic_size()
    return (
        semantic.new_empty(semantic.shape, dtype=torch.int32),
        semantic.new_empty(semantic.shape[0], dtype=torch.int64),
        semantic.new_empty(instances, dtype=torch.int64),
        semantic.new_empty((instances, 2), dtype=torch.float32),
        semantic.new_empty(instances, dtype=torch.int64),
        semantic.new_empty(instances, dtype=torch.float32),
    )


@torch.library.register_fake("mtl_cuda::cluster_instances_tables", lib=LIBRARY)
def _cluster_instances_tables_fake(
    offsets: Tensor, semantic: Tensor, probabilities: Tensor | None, *arguments: Any
) -> Six:
    rows = (semantic.shape[0], cuda_library().MAX_CLUSTERS)
    return (
        semantic.new_empty(semantic.shape, dtype=torch.int32),
        semantic.new_empty(semantic.shape[0], dtype=torch.int32),
        semantic.new_empty(rows, dtype=torch.int64),
        semantic.new_empty((*rows, 2), dtype=torch.float32),
        semantic.new_empty(rows, dtype=torch.int64),
        semantic.new_empty(rows, dtype=torch.float32),
    )
