"""Centroids of instances on a CUDA device: against the reference, and what is refused."""

from __future__ import annotations

import pytest
import torch
from gpu_device import DEVICE

from mtl_cuda import functional, reference

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 20, 90), (2, 600, 300)])
@pytest.mark.parametrize("largest", [0, 1, 9, 100])
def test_as_the_reference(dtype: torch.dtype, shape: tuple[int, int, int], largest: int) -> None:
    generator = torch.Generator().manual_seed(largest)
    ids = torch.randint(0, largest + 1, shape, generator=generator).to(dtype)
    centroids, counts = functional.instance_centroids(ids.to(DEVICE))
    expected, expected_counts = reference.instance_centroids(ids)
    assert torch.equal(counts.cpu(), expected_counts)
    torch.testing.assert_close(centroids.cpu(), expected.float(), equal_nan=True, rtol=0, atol=0)


def test_strides() -> None:
    ids = torch.randint(0, 5, (2, 30, 40)).transpose(1, 2)[:, ::2, 1:]
    on_device = torch.empty(0, dtype=ids.dtype, device=DEVICE).new_zeros(2, 40, 60)[:, ::2, 1:30]
    on_device.copy_(ids)
    given, counts = functional.instance_centroids(on_device)
    expected, expected_counts = reference.instance_centroids(ids)
    assert torch.equal(counts.cpu(), expected_counts)
    torch.testing.assert_close(given.cpu(), expected.float(), equal_nan=True, rtol=0, atol=0)


def test_far_from_the_origin_is_exact() -> None:
    ids = torch.zeros(1, 2, 200_000, dtype=torch.uint8, device=DEVICE)
    ids[0, :, 100_001:] = 1
    centroids, _ = functional.instance_centroids(ids)
    assert centroids[0, 0].tolist() == [150_000.0, 0.5]


def test_largest_id() -> None:
    ids = torch.zeros(2, 4, 4, dtype=torch.int32, device=DEVICE)
    ids[1, 2, 3] = 65535
    centroids, counts = functional.instance_centroids(ids, instances=65535)
    assert centroids[1, 65534].tolist() == [3.0, 2.0]
    assert counts.sum().item() == 1


def test_empty() -> None:
    ids = torch.zeros(2, 0, 4, dtype=torch.uint8, device=DEVICE)
    centroids, counts = functional.instance_centroids(ids)
    assert centroids.shape == (2, 0, 2)
    assert counts.shape == (2, 0)


def test_the_same_bits_in_a_hundred_runs() -> None:
    ids = torch.randint(0, 50, (2, 200, 300), device=DEVICE)
    expected, expected_counts = functional.instance_centroids(ids, 49)
    for _ in range(99):
        centroids, counts = functional.instance_centroids(ids, 49)
        assert torch.equal(centroids.nan_to_num(), expected.nan_to_num())
        assert torch.equal(counts, expected_counts)
