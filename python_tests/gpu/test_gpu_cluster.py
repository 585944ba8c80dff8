"""Instances from votes on a CUDA device: bit by bit as on the CPU, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from gpu_device import DEVICE, cuda_only
from torch import Tensor

import mtl_cuda
from mtl_cuda.clustering.result import InstanceClusters
from mtl_cuda.data import CITYSCAPES_INFO
from mtl_cuda.engine.segments import InstanceConfig, find_segments

pytestmark = pytest.mark.gpu

THINGS = (11, 12, 13)


def _votes(height: int, width: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Blocks of 32 pixels that vote for their middles, roughly; classes by block."""
    random = torch.Generator().manual_seed(seed)
    rows, columns = torch.arange(height)[:, None], torch.arange(width)
    block = rows // 32 * (width // 32 + 1) + columns // 32
    classes = torch.randint(11, 15, (2, int(block.max()) + 1), generator=random)
    to_middle = torch.stack(torch.broadcast_tensors(16 - columns % 32, 16 - rows % 32)).float()
    offsets = to_middle + torch.randn(2, 2, height, width, generator=random) * 2
    offsets[torch.rand(offsets.shape, generator=random) < 0.01] = torch.nan
    probabilities = torch.rand(2, 15, height, width, generator=random)
    return offsets, classes[:, block].to(torch.uint8), probabilities


def _assert_as_on_the_cpu(tensors: tuple[Tensor, Tensor, Tensor], **arguments: Any) -> None:
    offsets, semantic, probabilities = (tensor.to(DEVICE) for tensor in tensors)
    found = mtl_cuda.cluster_instances(
        offsets, semantic, THINGS, probabilities=probabilities, **arguments
    )
    offsets, semantic, probabilities = tensors
    expected = mtl_cuda.cluster_instances(
        offsets, semantic, THINGS, probabilities=probabilities, **arguments
    )
    _assert_equal(found, expected)


def _assert_equal(found: InstanceClusters, expected: InstanceClusters) -> None:
    assert torch.equal(found.ids.cpu(), expected.ids.cpu())
    for tables, others in zip(found[1:], expected[1:]):
        assert all(torch.equal(a.cpu(), b.cpu()) for a, b in zip(tables, others, strict=True))


@pytest.mark.parametrize("border", ["dbscan", "optics", "nearest", "none"])
@pytest.mark.parametrize("cells_per_pixel", [1, 2])
@pytest.mark.parametrize("class_agnostic", [True, False])
def test_as_on_the_cpu(border: str, cells_per_pixel: int, class_agnostic: bool) -> None:
    _assert_as_on_the_cpu(
        _votes(130, 250),
        eps=1.5,
        min_samples=12,
        border=border,
        cells_per_pixel=cells_per_pixel,
        class_agnostic=class_agnostic,
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_types_and_layouts(dtype: torch.dtype) -> None:
    offsets, semantic, probabilities = _votes(70, 90)
    votes = offsets.to(dtype).contiguous(memory_format=torch.channels_last)
    _assert_as_on_the_cpu((votes, semantic.mT.contiguous().mT, probabilities), eps=2, min_samples=9)


def test_full_size() -> None:
    _assert_as_on_the_cpu(_votes(1024, 2048), eps=2.0, min_samples=30, min_pixels=50)


@cuda_only
def test_segments_stay_on_the_device() -> None:
    offsets, semantic, probabilities = _votes(200, 300)
    maps = {"instance": offsets, "semantic": semantic, "probability": probabilities[:, 0]}
    expected = find_segments(maps, CITYSCAPES_INFO, InstanceConfig())
    there = {name: tensor.to(DEVICE) for name, tensor in maps.items()}
    found = find_segments(there, CITYSCAPES_INFO, InstanceConfig())
    _assert_equal(found["instances"], expected["instances"])
    assert found["panoptic"].ids.is_cuda
    assert torch.equal(found["panoptic"].ids.cpu(), expected["panoptic"].ids)


def test_the_same_bits_in_a_hundred_runs() -> None:
    offsets, semantic, _ = (tensor.to(DEVICE) for tensor in _votes(200, 300))
    arguments: dict[str, Any] = {"eps": 1.5, "min_samples": 12}
    expected = mtl_cuda.cluster_instances(offsets, semantic, THINGS, **arguments)
    for _ in range(99):
        _assert_equal(mtl_cuda.cluster_instances(offsets, semantic, THINGS, **arguments), expected)


@cuda_only
def test_the_tables_come_without_a_synchronisation() -> None:
    offsets, semantic, _ = (tensor.to(DEVICE) for tensor in _votes(200, 300))
    arguments = (list(THINGS), "density", 1.5, 12, "dbscan", 1, 0.0, float("inf"), 1, False)
    torch.cuda.set_sync_debug_mode("error")
    try:
        tables = torch.ops.mtl_cuda.cluster_instances_tables(offsets, semantic, None, *arguments)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    expected = mtl_cuda.cluster_instances(offsets, semantic, THINGS, eps=1.5, min_samples=12)
    assert torch.equal(tables[0], expected.ids)
    assert tables[1].tolist() == [len(scores) for scores in expected.scores]


@cuda_only
def test_refused() -> None:
    offsets = torch.zeros(1, 2, 200, 200, device=DEVICE)
    semantic = torch.full((1, 200, 200), 11, device=DEVICE)
    with pytest.raises(ValueError, match="at most 16384 clusters"):
        mtl_cuda.cluster_instances(offsets, semantic, [11], eps=0.5, min_samples=1)
    with pytest.raises(NotImplementedError, match="method: expected 'density'"):
        mtl_cuda.cluster_instances(offsets, semantic, [11], eps=1, min_samples=1, method="grid")
    with pytest.raises(ValueError, match="thing_classes: expected at most 32"):
        mtl_cuda.cluster_instances(offsets, semantic, range(33), eps=1, min_samples=1)
    with pytest.raises(ValueError, match="semantic: expected a tensor on cuda"):
        mtl_cuda.cluster_instances(offsets, semantic.cpu(), [11], eps=1, min_samples=1)
