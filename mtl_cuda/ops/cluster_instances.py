"""``torch.ops.mtl_cuda.cluster_instances``: schema, CPU kernel, fake kernel."""

from __future__ import annotations

import torch
from torch import Tensor

from mtl_cuda.native import library, optional_view, view
from mtl_cuda.ops.dbscan import BORDERS
from mtl_cuda.ops.library import LIBRARY

# In the order of csrc/cluster/cluster_instances.h.
METHODS = ("density", "grid")

# Tables of all images, one after the other; image i has per_image[i] rows.
Clusters = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]

LIBRARY.define(
    "cluster_instances(Tensor offsets, Tensor semantic, Tensor? probabilities,"
    " int[] thing_classes, str method, float eps, int min_samples, str border,"
    " int cells_per_pixel, float margin, float max_distance, int min_pixels, bool class_agnostic)"
    " -> (Tensor ids, Tensor per_image, Tensor classes, Tensor centroids, Tensor counts,"
    " Tensor scores)"
)


@torch.library.impl("mtl_cuda::cluster_instances", "CPU", lib=LIBRARY)
def _cluster_instances_cpu(
    offsets: Tensor,
    semantic: Tensor,
    probabilities: Tensor | None,
    thing_classes: list[int],
    method: str,
    eps: float,
    min_samples: int,
    border: str,
    cells_per_pixel: int,
    margin: float,
    max_distance: float,
    min_pixels: int,
    class_agnostic: bool,
) -> Clusters:
    native = library()
    settings = native.InstanceSettings(
        METHODS.index(method),
        eps,
        min_samples,
        BORDERS.index(border),
        cells_per_pixel,
        margin,
        max_distance,
        min_pixels,
        class_agnostic,
        thing_classes,
    )
    votes = offsets if offsets.dtype == torch.float64 else offsets.float()
    shares = None if probabilities is None else probabilities.float()
    ids = torch.empty(semantic.shape, dtype=torch.int32)
    image, classes, x, y, pixels, scores = native.cluster_instances_cpu(
        view(votes),
        view(semantic),
        optional_view(shares),
        settings,
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


@torch.library.register_fake("mtl_cuda::cluster_instances", lib=LIBRARY)
def _cluster_instances_fake(
    offsets: Tensor,
    semantic: Tensor,
    probabilities: Tensor | None,
    thing_classes: list[int],
    method: str,
    eps: float,
    min_samples: int,
    border: str,
    cells_per_pixel: int,
    margin: float,
    max_distance: float,
    min_pixels: int,
    class_agnostic: bool,
) -> Clusters:
    instances = torch.library.get_ctx().new_dynamic_size()
    return (
        semantic.new_empty(semantic.shape, dtype=torch.int32),
        semantic.new_empty(semantic.shape[0], dtype=torch.int64),
        semantic.new_empty(instances, dtype=torch.int64),
        semantic.new_empty((instances, 2), dtype=torch.float32),
        semantic.new_empty(instances, dtype=torch.int64),
        semantic.new_empty(instances, dtype=torch.float32),
    )
