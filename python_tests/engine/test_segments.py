from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mtl_cuda.data import CAMVID_INFO, CITYSCAPES_INFO
from mtl_cuda.engine import segments
from mtl_cuda.engine.evaluate import evaluate, predict_maps
from mtl_cuda.engine.segments import InstanceConfig, find_segments, has_segments
from mtl_cuda.metrics import target_offsets
from mtl_cuda.ops.cluster_instances import TooManyClustersError

CPU = torch.device("cpu")
TASKS = ("semantic", "instance")
CAR, ROAD = 13, 0


def batch() -> dict[str, Any]:
    """Two cars of 12 x 12 pixels that touch, on a road, in an image of 32 x 64."""
    instance = torch.zeros(1, 32, 64, dtype=torch.int32)
    instance[0, 8:20, 8:20], instance[0, 8:20, 20:32] = 1, 2
    semantic = torch.where(instance > 0, CAR, ROAD).to(torch.uint8)
    return {"image": torch.zeros(1, 3, 32, 64), "semantic": semantic, "instance": instance}


class Oracle(nn.Module):
    """Predicts the classes and vectors of `batch`."""

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        true = batch()
        classes = nn.functional.one_hot(true["semantic"].long(), 19).permute(0, 3, 1, 2).float()
        return {"semantic": 9 * classes, "instance": target_offsets(true["instance"]).nan_to_num()}


def test_an_oracle_finds_every_instance() -> None:
    metrics = evaluate(Oracle(), [batch()], CITYSCAPES_INFO, TASKS, CPU, InstanceConfig())
    assert metrics["instances/ap"] == metrics["instances/ap/car"] == 1
    assert metrics["panoptic/pq"] == metrics["panoptic/pq/car"] == metrics["panoptic/pq/road"] == 1
    assert math.isnan(metrics["instances/ap/person"])


def test_options_reach_the_clusters() -> None:
    few = InstanceConfig(min_samples=145)  # than which no car has more
    metrics = evaluate(Oracle(), [batch()], CITYSCAPES_INFO, TASKS, CPU, few)
    assert metrics["instances/ap"] == metrics["panoptic/pq_things"] == 0
    large = InstanceConfig(eps=20.0)  # the two centres are 12 pixels apart
    metrics = evaluate(Oracle(), [batch()], CITYSCAPES_INFO, TASKS, CPU, large)
    assert metrics["instances/ap"] == 0
    stuff = InstanceConfig(min_stuff_pixels=32 * 64)
    metrics = evaluate(Oracle(), [batch()], CITYSCAPES_INFO, TASKS, CPU, stuff)
    assert metrics["panoptic/pq_stuff"] == 0


def test_more_clusters_than_the_device_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU finds them; here, where there is no other device, at the second call."""
    original, calls = segments.cluster_instances, []

    def limited(*args: Any, **options: Any) -> Any:
        calls.append(args[0].device)
        if len(calls) == 1:
            raise TooManyClustersError("min_samples: too small")
        return original(*args, **options)

    monkeypatch.setattr(segments, "cluster_instances", limited)
    metrics = evaluate(Oracle(), [batch()], CITYSCAPES_INFO, TASKS, CPU, InstanceConfig())
    assert metrics["instances/ap"] == 1
    assert calls == [CPU, CPU]


def test_without_options_no_instances_are_looked_for() -> None:
    metrics = evaluate(Oracle(), [batch()], CITYSCAPES_INFO, TASKS, CPU)
    assert not [key for key in metrics if key.startswith(("instances", "panoptic"))]


@pytest.mark.parametrize(
    ("width", "eps", "samples"), [(256, 2.0, 8), (2048, 16.0, 64), (8, 1 / 16, 1)]
)
def test_defaults_follow_the_width(
    width: int, eps: float, samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}
    real = segments.cluster_instances

    def spy(*tensors: Any, **options: Any) -> Any:
        given.update(options)
        return real(*tensors, **options)

    monkeypatch.setattr(segments, "cluster_instances", spy)
    maps = {
        "semantic": torch.zeros(1, 4, width, dtype=torch.int64),
        "probability": torch.ones(1, 4, width),
        "instance": torch.zeros(1, 2, 4, width),
    }
    found = find_segments(maps, CITYSCAPES_INFO, InstanceConfig())
    assert (given["eps"], given["min_samples"], given["min_pixels"]) == (eps, samples, 1)
    assert found["instances"].classes[0].tolist() == []
    assert found["panoptic"].classes[0].tolist() == [ROAD]


def test_probability_is_that_of_the_upsampled_logits() -> None:
    class Two(nn.Module):
        def forward(self, images: Tensor) -> dict[str, Tensor]:
            return {"semantic": torch.tensor([[[[0.0]], [[math.log(3)]]]])}

    maps = predict_maps(Two(), torch.zeros(1, 3, 1, 1), (1, 2), probability=True)
    assert maps["semantic"].tolist() == [[[1, 1]]]
    torch.testing.assert_close(maps["probability"][0, 0, 0], torch.tensor(0.75))
    assert "probability" not in predict_maps(Two(), torch.zeros(1, 3, 1, 1), (1, 2))


def test_segments_need_things_their_classes_and_vectors() -> None:
    assert has_segments(CITYSCAPES_INFO, ("depth", *TASKS))
    assert not has_segments(CITYSCAPES_INFO, ("semantic", "depth"))
    assert not has_segments(CITYSCAPES_INFO, ("instance",))
    assert not has_segments(CAMVID_INFO, TASKS)
