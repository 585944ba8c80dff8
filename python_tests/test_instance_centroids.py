"""Centroids of instances: against the reference, and what is refused."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mtl_cuda import functional, reference

INTEGERS = [torch.uint8, torch.int16, torch.int32, torch.int64]


@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 20), st.integers(1, 90)),
    largest=st.integers(0, 9),
    seed=st.integers(0, 999),
    dtype=st.sampled_from(INTEGERS),
)
def test_as_the_reference(
    shape: tuple[int, int, int], largest: int, seed: int, dtype: torch.dtype
) -> None:
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, largest + 1, shape, generator=generator).to(dtype)
    centroids, counts = functional.instance_centroids(ids)
    expected, expected_counts = reference.instance_centroids(ids)
    assert torch.equal(counts, expected_counts)
    torch.testing.assert_close(centroids, expected.float(), equal_nan=True, rtol=0, atol=0)


def test_known_places_and_absent_ids() -> None:
    ids = torch.zeros(2, 5, 8, dtype=torch.int32)
    ids[0, 1, 2:5] = 3  # x 2..4, y 1
    centroids, counts = functional.instance_centroids(ids, instances=4)
    assert centroids.shape == (2, 4, 2)
    assert centroids[0, 2].tolist() == [3.0, 1.0]
    assert counts[0].tolist() == [0, 0, 3, 0]
    assert centroids[1].isnan().all()


def test_far_from_the_origin_is_exact() -> None:
    """Integer sums: float sums would lose the last pixels of a wide picture."""
    ids = torch.zeros(1, 2, 200_000, dtype=torch.uint8)
    ids[0, :, 100_001:] = 1
    centroids, _ = functional.instance_centroids(ids)
    assert centroids[0, 0].tolist() == [150_000.0, 0.5]


def test_strides() -> None:
    ids = torch.randint(0, 5, (2, 30, 40)).transpose(1, 2)[:, ::2, 1:]
    given_, expected = functional.instance_centroids(ids), reference.instance_centroids(ids)
    torch.testing.assert_close(given_[0], expected[0].float(), equal_nan=True)


def test_empty() -> None:
    centroids, counts = functional.instance_centroids(torch.zeros(2, 0, 4, dtype=torch.uint8))
    assert centroids.shape == (2, 0, 2)
    assert counts.shape == (2, 0)


def test_refused() -> None:
    ids = torch.zeros(1, 4, 4, dtype=torch.int32)
    with pytest.raises(TypeError, match="ids: expected a tensor of uint8"):
        functional.instance_centroids(ids.float())
    with pytest.raises(ValueError, match=r"ids: expected \[B,H,W\]"):
        functional.instance_centroids(ids[0])
    ids[0, 1, 2] = 7
    with pytest.raises(ValueError, match="ids: expected 0 to 3, got 7 at image 0, row 1, column 2"):
        functional.instance_centroids(ids, instances=3)
    ids[0, 1, 2] = -1
    with pytest.raises(ValueError, match="got -1"):
        functional.instance_centroids(ids, instances=3)
    with pytest.raises(ValueError, match="instances"):
        functional.instance_centroids(ids, instances=70_000)
