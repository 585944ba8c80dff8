"""DBSCAN of points on a CUDA device: bit by bit as on the CPU, without waiting."""

from __future__ import annotations

import pytest
import torch
from cluster_cases import point_cases
from gpu_device import DEVICE, cuda_only
from torch import Tensor

import mtl_cuda

pytestmark = pytest.mark.gpu

BORDERS = ("dbscan", "optics", "nearest", "none")


def _assert_as_on_the_cpu(points: Tensor, eps: float, min_samples: int, border: str) -> Tensor:
    expected = mtl_cuda.dbscan(points, eps, min_samples, border)
    found = mtl_cuda.dbscan(points.to(DEVICE), eps, min_samples, border)
    for own, other in zip(found, expected, strict=True):
        assert own.device.type == DEVICE.type
        assert torch.equal(own.cpu(), other)
    return expected.labels_


@pytest.mark.parametrize("border", BORDERS)
def test_as_on_the_cpu(border: str) -> None:
    for case in point_cases(70, (1, 7, 150, 1000, 5000), seed=5):
        points = torch.from_numpy(case.points)
        _assert_as_on_the_cpu(points, case.eps, case.min_samples, border)
        _assert_as_on_the_cpu(points.float(), case.eps, case.min_samples, border)


def test_optics_gives_labels() -> None:
    for case in point_cases(20, (1, 7, 150, 1000), seed=6):
        points = torch.from_numpy(case.points)
        number = min(case.min_samples, len(points))
        expected = mtl_cuda.optics(points, number, case.eps, "dbscan").labels_
        found = mtl_cuda.optics(points.to(DEVICE), number, case.eps, "dbscan").labels_
        assert found.device.type == DEVICE.type
        assert torch.equal(found.cpu(), expected)


@cuda_only
def test_optics_refuses_what_needs_the_order() -> None:
    points = torch.rand(9, 2, device=DEVICE)
    for arguments in ({}, {"cluster_method": "dbscan"}, {"max_eps": 0.5}):
        with pytest.raises(NotImplementedError, match=r"points: .*\.cpu\(\)"):
            mtl_cuda.optics(points, 3, **arguments)
    with pytest.raises(NotImplementedError, match="finite max_eps = eps"):
        mtl_cuda.optics(points, 3, 0.5, "dbscan", eps=0.4)


def test_bad_and_no_points() -> None:
    points = torch.rand(500, 2, generator=torch.Generator().manual_seed(0)) * 9
    points[::50] = torch.nan
    points[7] = 1e30
    _assert_as_on_the_cpu(points, 0.7, 4, "dbscan")
    _assert_as_on_the_cpu(points[:0], 0.7, 4, "dbscan")
    _assert_as_on_the_cpu(points.mT.contiguous().mT, 0.7, 4, "nearest")


@pytest.mark.parametrize("count", [200_000, 2_000_000])
def test_many_points(count: int) -> None:
    random = torch.Generator().manual_seed(1)
    centres = torch.rand(300, 2, generator=random) * 2000
    blobs = centres[torch.randint(300, (count,), generator=random)]
    points = blobs + torch.randn(count, 2, generator=random) * 4
    assert _assert_as_on_the_cpu(points, 1.5, 30, "dbscan").max() > 10


def test_adversarial_load_is_bounded() -> None:
    same = torch.full((1_000_000, 2), 3.7)
    dense = torch.rand(500_000, 2, generator=torch.Generator().manual_seed(2)) * 0.1
    apart = torch.cat([dense, dense + torch.tensor([1.1 + 1e-6, 0.0])])
    _assert_as_on_the_cpu(same, 1.0, len(same) + 1, "dbscan")
    _assert_as_on_the_cpu(apart, 1.0, 30, "dbscan")
    _assert_as_on_the_cpu(dense, 100.0, 250_000, "dbscan")
    _assert_as_on_the_cpu(torch.cat([same, dense[:1000] * 30 + 4]), 0.5, 30, "nearest")


def test_the_same_bits_in_a_hundred_runs() -> None:
    points = torch.rand(50_000, 2, generator=torch.Generator().manual_seed(3)).to(DEVICE) * 200
    expected = mtl_cuda.dbscan(points, 1.0, 5)
    for _ in range(99):
        assert torch.equal(mtl_cuda.dbscan(points, 1.0, 5).labels_, expected.labels_)


@cuda_only
def test_the_op_does_not_synchronise() -> None:
    points = torch.rand(5000, 2, device=DEVICE) * 50
    torch.cuda.set_sync_debug_mode("error")
    try:
        labels, core = torch.ops.mtl_cuda.dbscan(points, 1.0, 5, "dbscan")
    finally:
        torch.cuda.set_sync_debug_mode("default")
    expected = mtl_cuda.dbscan(points, 1.0, 5)
    assert torch.equal(labels.long(), expected.labels_)
    assert torch.equal(core.nonzero().flatten(), expected.core_sample_indices_)
