from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mtl_cuda.clustering.panoptic import merge_panoptic
from mtl_cuda.clustering.result import InstanceClusters

ROAD, SKY, CAR, PERSON = range(4)
THINGS = (CAR, PERSON)


def clusters(ids: Tensor, classes: list[list[int]]) -> InstanceClusters:
    """Instances of which only ids and classes matter."""
    tables = [torch.tensor(kinds, dtype=torch.int64) for kinds in classes]
    return InstanceClusters(ids.int(), tables, [], [], [])


def test_worked_example() -> None:
    semantic = torch.tensor(
        [[[SKY, SKY, SKY, ROAD], [CAR, CAR, PERSON, -1], [CAR, ROAD, 255, ROAD]]]
    )
    ids = torch.tensor([[[0, 0, 0, 0], [1, 1, 1, 0], [0, 2, 0, 0]]])
    found = merge_panoptic(semantic, clusters(ids, [[CAR, PERSON]]), THINGS, min_stuff_pixels=2)
    assert found.ids.dtype == torch.int32
    # A pixel of PERSON within car 1, and one of ROAD within person 2, go with their instance; a car
    # without an instance is void; classes are numbered on in their order.
    assert found.ids.tolist() == [[[4, 4, 4, 3], [1, 1, 1, 0], [0, 2, 0, 3]]]
    assert found.classes[0].tolist() == [CAR, PERSON, ROAD, SKY]


def test_small_stuff_is_void() -> None:
    semantic = torch.tensor([[[SKY, SKY, SKY, ROAD, ROAD]]])
    nothing = clusters(torch.zeros_like(semantic), [[]])
    for least, ids, classes in (
        (2, [2, 2, 2, 1, 1], [ROAD, SKY]),
        (3, [1, 1, 1, 0, 0], [SKY]),
        (4, [0, 0, 0, 0, 0], []),
        (0, [2, 2, 2, 1, 1], [ROAD, SKY]),
    ):
        found = merge_panoptic(semantic, nothing, THINGS, least)
        assert found.ids.flatten().tolist() == ids
        assert found.classes[0].tolist() == classes


def test_default_limit_is_a_share_of_the_image() -> None:
    semantic = torch.zeros(1, 64, 64, dtype=torch.uint8)
    semantic[0, 0, :3] = SKY  # one less than 64 * 64 / 1024
    found = merge_panoptic(semantic, clusters(torch.zeros(1, 64, 64), [[]]), THINGS)
    assert found.classes[0].tolist() == [ROAD]
    semantic[0, 0, 3] = SKY
    found = merge_panoptic(semantic, clusters(torch.zeros(1, 64, 64), [[]]), THINGS)
    assert found.classes[0].tolist() == [ROAD, SKY]


def test_images_do_not_mix_and_input_is_left_alone() -> None:
    semantic = torch.tensor([[[CAR, ROAD]], [[SKY, ROAD]]])
    given = clusters(torch.tensor([[[1, 0]], [[0, 0]]]), [[CAR], []])
    before = given.ids.clone()
    found = merge_panoptic(semantic, given, THINGS, 1)
    assert found.ids.tolist() == [[[1, 2]], [[2, 1]]]
    assert [kinds.tolist() for kinds in found.classes] == [[CAR, ROAD], [ROAD, SKY]]
    assert torch.equal(given.ids, before)


def test_bad_shapes() -> None:
    given = clusters(torch.zeros(1, 2, 3), [[]])
    with pytest.raises(ValueError, match=r"semantic: .*\[1, 2, 3\].*\[1, 3, 2\]"):
        merge_panoptic(torch.zeros(1, 3, 2).long(), given, THINGS)
    with pytest.raises(ValueError, match="semantic: "):
        merge_panoptic(torch.zeros(2, 3).long(), given, THINGS)
