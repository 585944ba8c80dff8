from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from mtl_cuda.data import CITYSCAPES_INFO
from mtl_cuda.engine.build import open_source
from mtl_cuda.engine.config import TrainConfig
from mtl_cuda.engine.evaluate import (
    constant_prediction,
    describe_metrics,
    evaluate,
    evaluate_constant,
    predict_maps,
    selection_score,
)
from mtl_cuda.engine.loading import Batch, evaluation_batches, spread
from mtl_cuda.metrics import target_offsets

TASKS = ("semantic", "instance", "depth")
CPU = torch.device("cpu")


class Oracle(nn.Module):
    """Predicts the targets of the batches it was given, in their order."""

    def __init__(self, batches: list[Batch]) -> None:
        super().__init__()
        self.batches = iter(batches)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        assert not self.training
        batch = next(self.batches)
        classes = batch["semantic"].long().clamp(max=18)
        return {
            "semantic": nn.functional.one_hot(classes, 19).permute(0, 3, 1, 2).float(),
            "instance": target_offsets(batch["instance"]).nan_to_num().float() + 1.0,
            "depth": batch["depth"][:, None].nan_to_num(),
        }


def test_numbers_of_an_oracle(tiny: Callable[..., TrainConfig]) -> None:
    config = tiny()
    batches = list(evaluation_batches(open_source(config, "val"), config.data))
    assert [len(batch["name"]) for batch in batches] == [2, 1]
    oracle = Oracle(batches).train()
    metrics = evaluate(oracle, batches, CITYSCAPES_INFO, TASKS, CPU)
    assert oracle.training
    assert metrics["semantic/miou"] == 1
    assert metrics["instance/mean_error"] == pytest.approx(2, rel=1e-5)
    assert metrics["instance/rms_error"] == pytest.approx(math.sqrt(2), rel=1e-5)
    assert metrics["depth/mean_error"] == 0


def test_constant_is_measured_alike(tiny: Callable[..., TrainConfig]) -> None:
    config = tiny()
    train = evaluation_batches(open_source(config, "train"), config.data)
    val = list(evaluation_batches(open_source(config, "val"), config.data))
    constants = constant_prediction(train, CITYSCAPES_INFO, TASKS)
    metrics = evaluate_constant(constants, val, CITYSCAPES_INFO, TASKS)
    depth = torch.cat([batch["depth"] for batch in val])
    expected = (depth - constants.constants()["depth"]).abs().mean()  # type: ignore[operator]
    assert metrics["depth/mean_error"] == pytest.approx(expected.item(), rel=1e-4)
    assert 0 < metrics["semantic/miou"] < 0.2


def test_maps_are_upsampled_before_the_class_is_chosen() -> None:
    class Corner(nn.Module):
        def forward(self, images: Tensor) -> dict[str, Tensor]:
            return {"semantic": torch.tensor([[[[3.0, -1.0]], [[0.0, 0.0]]]])}

    maps = predict_maps(Corner(), torch.zeros(1, 3, 2, 8), (2, 8))
    assert maps["semantic"].tolist() == [[[0, 0, 0, 0, 0, 1, 1, 1]] * 2][0:1]


def test_what_is_no_number_gets_no_class() -> None:
    class Diverged(nn.Module):
        def forward(self, images: Tensor) -> dict[str, Tensor]:
            return {"semantic": torch.tensor([[[[1.0, 1.0]], [[0.0, torch.nan]]]])}

    maps = predict_maps(Diverged(), torch.zeros(1, 3, 2, 8), (2, 8))
    assert maps["semantic"].tolist() == [[[0, 0, -1, -1, -1, -1, -1, -1]] * 2]


def test_score_of_perfect_and_constant_predictions() -> None:
    baseline = {"semantic/miou": 0.1, "instance/mean_error": 20.0, "depth/mean_error": 0.05}
    assert selection_score(baseline, baseline) == pytest.approx(0.1 / 3)
    perfect = {"semantic/miou": 1.0, "instance/mean_error": 0.0, "depth/mean_error": 0.0}
    assert selection_score(perfect, baseline) == 1
    halfway = {"semantic/miou": 0.5, "instance/mean_error": 10.0, "depth/mean_error": 0.025}
    assert selection_score(halfway, baseline) == pytest.approx(0.5)


def test_score_leaves_out_what_has_no_pixels() -> None:
    nan = math.nan
    baseline = {"semantic/miou": 0.1, "instance/mean_error": nan, "depth/mean_error": 0.0}
    metrics = {"semantic/miou": 0.4, "instance/mean_error": nan, "depth/mean_error": 0.0}
    assert selection_score(metrics, baseline) == 0.4
    assert math.isnan(selection_score({}, baseline))


def test_one_line_of_metrics() -> None:
    metrics = {"semantic/miou": 0.4123, "semantic/iou/car": 0.1, "depth/mean_error": 0.05}
    assert describe_metrics(metrics, "1/m") == (
        "Mean IoU 41.2 %; Inverse depth, mean error 0.05 1/m"
    )


def test_spread() -> None:
    assert spread(10, None) == list(range(10))
    assert spread(10, 3) == [0, 3, 6]
    assert spread(2, 5) == [0, 1]
    assert spread(0, 5) == []
    assert spread(5, 0) == []
