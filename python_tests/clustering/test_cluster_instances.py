"""Instances from votes: against the reference, rules one by one, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import mtl_cuda
from mtl_cuda.clustering import reference
from mtl_cuda.clustering.result import InstanceClusters

THINGS = (11, 13)


def _assert_equal(found: InstanceClusters, expected: InstanceClusters) -> None:
    assert torch.equal(found.ids, expected.ids)
    for name in ("classes", "centroids", "counts"):
        for a, b in zip(getattr(found, name), getattr(expected, name), strict=True):
            assert torch.equal(a, b), name
    for a, b in zip(found.scores, expected.scores, strict=True):
        torch.testing.assert_close(a, b)


def _random_batch(seed: int, step: float = 1 / 64) -> tuple[Tensor, Tensor, Tensor]:
    """Offsets towards a few centres, with noise in multiples of `step`, and some bad ones."""
    random = torch.Generator().manual_seed(seed)
    batch, height, width = 2, 17, 23
    centres = torch.rand(batch, 4, 2, generator=random) * torch.tensor([width, height])
    towards = centres[:, torch.randint(0, 4, (height * width,), generator=random)]
    columns, rows = torch.arange(width), torch.arange(height)[:, None]
    pixels = torch.stack([columns.expand(height, width), rows.expand(height, width)], dim=-1)
    noise = torch.randn(batch, height * width, 2, generator=random) * 2
    offsets = (towards + noise - pixels.flatten(0, 1)).div(step).round().mul(step)
    bad = torch.rand(batch, height * width, 2, generator=random)
    offsets[bad < 0.02] = torch.nan
    offsets[(bad > 0.02) & (bad < 0.03)] = torch.inf
    offsets[(bad > 0.03) & (bad < 0.05)] *= 50
    semantic = torch.tensor([11, 13, 7, 255])[
        torch.randint(0, 4, (batch, height, width), generator=random)
    ]
    probabilities = torch.rand(batch, 14, height, width, generator=random)
    return offsets.mT.reshape(batch, 2, height, width), semantic, probabilities


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    method=st.sampled_from(["density", "grid"]),
    eps=st.sampled_from([0.5, 1.0, 2.0, 5**0.5]),
    min_samples=st.integers(1, 9),
    cells_per_pixel=st.sampled_from([1, 2, 4]),
    border=st.sampled_from(["dbscan", "optics", "nearest", "none"]),
    margin=st.sampled_from([0.0, 3.0]),
    max_distance=st.sampled_from([float("inf"), 4.0]),
    min_pixels=st.sampled_from([1, 6]),
    class_agnostic=st.booleans(),
)
def test_as_the_reference(seed: int, **arguments: Any) -> None:
    offsets, semantic, probabilities = _random_batch(seed)
    arguments["probabilities"] = probabilities
    found = mtl_cuda.cluster_instances(offsets, semantic, THINGS, **arguments)
    expected = reference.cluster_instances(offsets, semantic, THINGS, **arguments)
    _assert_equal(found, expected)


def _scene(height: int = 12, width: int = 20) -> tuple[Tensor, Tensor, Tensor]:
    """Two rectangles of class 11 and one of 13, with offsets to their own centroids."""
    ids = torch.zeros(1, height, width, dtype=torch.int32)
    ids[0, 1:4, 1:6], ids[0, 2:9, 8:12], ids[0, 6:10, 14:19] = 1, 2, 3
    semantic = torch.tensor([7, 11, 11, 13], dtype=torch.uint8)[ids.long()]
    centroids, _ = mtl_cuda.functional.instance_centroids(ids)
    table = torch.cat([torch.zeros(1, 1, 2), centroids], dim=1)[0][ids.long()]
    columns, rows = torch.arange(width), torch.arange(height)[:, None]
    offsets = torch.stack([table[..., 0] - columns, table[..., 1] - rows], dim=1)
    return offsets, semantic, ids


@pytest.mark.parametrize("method", ["density", "grid"])
def test_true_offsets_give_the_true_instances(method: str) -> None:
    offsets, semantic, ids = _scene()
    found = mtl_cuda.cluster_instances(
        offsets, semantic, THINGS, eps=1.0, min_samples=3, method=method
    )
    assert torch.equal(found.ids, ids)
    assert found.classes[0].tolist() == [11, 11, 13]
    assert found.counts[0].tolist() == [15, 28, 20]
    assert found.centroids[0].tolist() == [[3, 2], [9.5, 5], [16, 7.5]]
    assert found.scores[0].tolist() == [1, 1, 1]


def test_classes_never_mix_unless_asked() -> None:
    _, semantic, _ = _scene()
    same_place = torch.zeros(1, 2, 1, 1) - torch.stack(
        torch.meshgrid(torch.arange(20), torch.arange(12), indexing="xy")
    )
    apart = mtl_cuda.cluster_instances(same_place, semantic, THINGS, eps=1.0, min_samples=3)
    assert apart.counts[0].tolist() == [43, 20]
    assert apart.classes[0].tolist() == [11, 13]
    together = mtl_cuda.cluster_instances(
        same_place, semantic, THINGS, eps=1.0, min_samples=3, class_agnostic=True
    )
    assert together.counts[0].tolist() == [63]
    assert together.classes[0].tolist() == [11]


def test_an_image_does_not_depend_on_its_batch() -> None:
    offsets, semantic, probabilities = _random_batch(5, step=1e-6)
    arguments: dict[str, Any] = {"eps": 1.0, "min_samples": 3}
    whole = mtl_cuda.cluster_instances(
        offsets.flip(0), semantic.flip(0), THINGS, probabilities=probabilities.flip(0), **arguments
    )
    for image in range(2):
        alone = mtl_cuda.cluster_instances(
            offsets[image : image + 1],
            semantic[image : image + 1],
            THINGS,
            probabilities=probabilities[image : image + 1],
            **arguments,
        )
        assert torch.equal(alone.ids[0], whole.ids[1 - image])
        for table, tables in zip(alone[1:], whole[1:]):
            assert torch.equal(table[0], tables[1 - image])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e30, -1e4])
def test_bad_votes_leave_the_others_as_they_are(value: float) -> None:
    offsets, semantic, ids = _scene()
    offsets[0, 0, 2, 3] = value
    found = mtl_cuda.cluster_instances(offsets, semantic, THINGS, eps=1.0, min_samples=3)
    if abs(value) == float("inf") or value != value:
        assert found.ids[0, 2, 3] == 0
        ids[0, 2, 3] = 0
    found.ids[0, 2, 3], ids[0, 2, 3] = 0, 0
    assert torch.equal(found.ids, ids)
    assert found.centroids[0][0].tolist() == [3, 2]


def test_votes_beyond_the_image_count_within_the_margin() -> None:
    semantic = torch.full((1, 4, 4), 11, dtype=torch.uint8)
    offsets = torch.full((1, 2, 4, 4), -6.0)  # votes at -6 ... -3
    arguments: dict[str, Any] = {"eps": 2.0, "min_samples": 3}
    assert mtl_cuda.cluster_instances(offsets, semantic, [11], **arguments).ids.eq(0).all()
    found = mtl_cuda.cluster_instances(offsets, semantic, [11], margin=6.0, **arguments)
    assert found.ids.eq(1).all()
    assert found.centroids[0].tolist() == [[-4.5, -4.5]]


def test_score_is_probability_times_agreement() -> None:
    offsets, semantic, ids = _scene()
    pixel = torch.tensor([3.0, 2.0]) + torch.tensor([0.0, 1.5])  # 1.5 beside the centre
    offsets[0, :, 1, 1] = pixel - torch.tensor([1.0, 1.0])
    probabilities = torch.zeros(1, 14, 12, 20)
    probabilities[0, 11][ids[0] == 1] = 0.5
    found = mtl_cuda.cluster_instances(
        offsets, semantic, THINGS, eps=1.0, min_samples=3, probabilities=probabilities
    )
    torch.testing.assert_close(found.scores[0], torch.tensor([0.5 * 14 / 15, 0.0, 0.0]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_dtypes_and_strides(dtype: torch.dtype) -> None:
    offsets, semantic, _ = _random_batch(6, step=1 / 2)
    arguments: dict[str, Any] = {"eps": 1.0, "min_samples": 3}
    expected = mtl_cuda.cluster_instances(offsets.to(dtype).double(), semantic, THINGS, **arguments)
    votes = offsets.to(dtype).contiguous(memory_format=torch.channels_last)
    for labels in (torch.uint8, torch.int16, torch.int32):
        classes = semantic.to(labels).mT.contiguous().mT
        found = mtl_cuda.cluster_instances(votes, classes, THINGS, **arguments)
        _assert_equal(found, expected)


def test_same_bits_for_every_number_of_threads() -> None:
    offsets, semantic, probabilities = _random_batch(7, step=1e-6)
    before, results = torch.get_num_threads(), []
    for threads in (1, 4):
        torch.set_num_threads(threads)
        results.append(
            mtl_cuda.cluster_instances(
                offsets, semantic, THINGS, eps=1.0, min_samples=3, probabilities=probabilities
            )
        )
    torch.set_num_threads(before)
    _assert_equal(*results)
    assert torch.equal(results[0].scores[0], results[1].scores[0])


def test_nothing_has_a_derivative() -> None:
    offsets, semantic, probabilities = _random_batch(9)
    found = mtl_cuda.cluster_instances(
        offsets.requires_grad_(),
        semantic,
        THINGS,
        eps=1.0,
        min_samples=3,
        probabilities=probabilities.requires_grad_(),
    )
    assert not found.centroids[0].requires_grad
    assert not found.scores[0].requires_grad
    points = torch.rand(9, 2, requires_grad=True)
    assert not mtl_cuda.optics(points, 3).reachability_.requires_grad
    assert not mtl_cuda.dbscan(points, 0.2, 3).labels_.requires_grad


@pytest.mark.parametrize("shape", [(0, 4, 4), (2, 0, 4), (2, 3, 4)])
def test_nothing_to_find(shape: tuple[int, int, int]) -> None:
    semantic = torch.full(shape, 255)
    offsets = torch.zeros(shape[0], 2, *shape[1:])
    found = mtl_cuda.cluster_instances(offsets, semantic, THINGS, eps=1.0, min_samples=1)
    assert found.ids.shape == shape
    assert found.ids.eq(0).all()
    assert [len(table) for table in found[1:]] == [shape[0]] * 4
    assert all(len(scores) == 0 for scores in found.scores)


def test_opcheck() -> None:
    offsets, semantic, probabilities = _random_batch(8)
    arguments = (offsets, semantic, probabilities, list(THINGS), "density", 1.0, 3, "dbscan", 1)
    torch.library.opcheck(
        torch.ops.mtl_cuda.cluster_instances.default, (*arguments, 0.0, float("inf"), 1, False)
    )


def test_refused() -> None:
    offsets, semantic = torch.zeros(1, 2, 4, 4), torch.zeros(1, 4, 4, dtype=torch.uint8)

    def refuse(error: type[Exception], message: str, **changes: Any) -> None:
        given: dict[str, Any] = {"offsets": offsets, "semantic": semantic, "eps": 1.0}
        given = given | {"min_samples": 2, "thing_classes": [1]} | changes
        with pytest.raises(error, match=message):
            mtl_cuda.cluster_instances(**given)

    refuse(TypeError, "offsets: expected a tensor of float32", offsets=offsets.int())
    refuse(ValueError, r"offsets: expected \[B,2,H,W\], got \[1, 1, 4, 4\]", offsets=offsets[:, :1])
    refuse(TypeError, "semantic: expected a tensor of uint8", semantic=semantic.float())
    refuse(ValueError, r"semantic: expected \[B,H,W\] of the offsets", semantic=semantic[:, 1:])
    refuse(ValueError, "thing_classes: expected integers 0 to 65535", thing_classes=[-1])
    refuse(ValueError, "thing_classes: expected each class once", thing_classes=[1, 1])
    refuse(ValueError, "eps: expected a number from", eps=0.0)
    refuse(ValueError, "min_samples: expected at least 1", min_samples=0)
    refuse(ValueError, "min_pixels: expected at least 1", min_pixels=0)
    refuse(ValueError, "cells_per_pixel: expected at least 1", cells_per_pixel=0)
    refuse(ValueError, "cells_per_pixel, margin: expected at most", cells_per_pixel=2**14)
    refuse(ValueError, "method: expected one of", method="optics")
    refuse(ValueError, "border: expected one of", border="first")
    refuse(ValueError, "margin: expected a finite number", margin=float("nan"))
    refuse(ValueError, "max_distance: expected a number >= 0", max_distance=-1.0)
    refuse(ValueError, "probabilities: expected a channel", probabilities=torch.ones(1, 1, 4, 4))
    refuse(ValueError, "probabilities: expected", probabilities=torch.ones(1, 3, 4, 5))
    refuse(NotImplementedError, "offsets: .* on the CPU or a CUDA", offsets=offsets.to("meta"))
    refuse(NotImplementedError, "semantic: .* on the CPU or a CUDA", semantic=semantic.to("meta"))
