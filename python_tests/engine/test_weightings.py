"""Training by every weighting."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from mtl_cuda.data import CITYSCAPES_INFO
from mtl_cuda.engine.build import build_criterion, start_log_variances
from mtl_cuda.engine.checkpoint import load_checkpoint
from mtl_cuda.engine.config import LossConfig, TrainConfig, parse_arguments
from mtl_cuda.engine.loading import training_batches
from mtl_cuda.engine.train import Trainer
from mtl_cuda.weighting import NAMES, DynamicWeightAverage, SoftOptimalUncertainty

Make = Callable[..., TrainConfig]
TASKS = ("semantic", "instance", "depth")


def weights_of(trainer: Trainer) -> list[list[float]]:
    with open(trainer.out / "metrics.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "train"]
    return [[float(row[f"weight/{task}"]) for task in TASKS] for row in rows]


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_logged_and_the_state_is_saved(name: str, tiny: Make) -> None:
    config = tiny(steps=2, eval_every=None)
    config.loss.weighting = name
    trainer = Trainer(config)
    assert trainer.fit().steps == 2
    weights = weights_of(trainer)
    assert all(weight >= 0 for row in weights for weight in row)
    sums = {"equal": 3, "dwa": 3, "gradnorm": 3, "uw_so": 1, "rlw": 1}
    if name in sums:
        assert [sum(row) for row in weights] == pytest.approx([sums[name]] * 2, rel=1e-4)
    if name in ("rlw", "gls", "gradnorm", "uncertainty", "revised_uncertainty"):
        assert weights[0] != weights[1]
    state = load_checkpoint(trainer.out / "last.pt")["criterion"]
    for key, value in trainer.criterion.state_dict().items():
        torch.testing.assert_close(state[key], value, rtol=0, atol=0, equal_nan=True)


def test_an_epoch_is_a_pass_over_the_scenes(tiny: Make) -> None:
    config = tiny(steps=7, eval_every=None)
    config.loss.weighting, config.loss.weighting_options = "dwa", {"temperature": 0.5}
    trainer = Trainer(config)
    assert isinstance(trainer.criterion.scheme, DynamicWeightAverage)
    assert trainer.criterion.scheme.temperature == 0.5
    trainer.fit()  # six scenes, two a step
    weights = weights_of(trainer)
    assert weights[:6] == [[1.0, 1.0, 1.0]] * 6
    assert weights[6] != weights[5]
    assert trainer.criterion.scheme.counts.tolist() == [1.0, 1.0, 1.0]


def test_first_batch_under_revised_uncertainty(tiny: Make) -> None:
    config = tiny()
    config.loss.weighting = "revised_uncertainty"
    trainer = Trainer(config)
    batch = next(training_batches(trainer.train_source, config.data, 0))
    targets = {task: batch[task] for task in TASKS}
    output = trainer.criterion(trainer.network(batch["image"]), targets)
    start_log_variances(trainer.criterion, output)
    output = trainer.criterion(trainer.network(batch["image"]), targets)
    output.total.backward()
    assert trainer.criterion.log_variances is not None
    gradient = trainer.criterion.log_variances.grad
    assert gradient is not None
    assert gradient.abs().max() < 1e-3


def test_log_variances_come_back_from_beyond_their_range(tiny: Make) -> None:
    config = tiny()
    config.loss.initial_log_variance = -12.0
    trainer = Trainer(config)
    batch = next(training_batches(trainer.train_source, config.data, 0))
    assert trainer.criterion.log_variances is not None
    trainer.train_step(batch)
    assert trainer.criterion.log_variances.tolist() == [-10.0] * 3
    trainer.train_step(batch)
    assert trainer.criterion.log_variances.min() > -10


def test_starts_of_more_tasks_than_are_trained() -> None:
    config = LossConfig(tasks=("depth",), initial_log_variance={"semantic": 1.0, "depth": -2.0})
    criterion = build_criterion(config, CITYSCAPES_INFO)
    assert criterion.log_variances is not None
    assert criterion.log_variances.tolist() == [-2.0]
    with pytest.raises(ValueError, match=r"initial_log_variance: .*'instance'"):
        build_criterion(replace(config, tasks=("instance",)), CITYSCAPES_INFO)


def test_arguments() -> None:
    base = ["--data.root", "x", "--data.size", "[8, 8]"]
    config = parse_arguments(
        [*base, "--loss.weighting", "uw_so", "--loss.weighting_options.temperature", "5"]
    )
    assert (config.loss.weighting, config.loss.weighting_options) == ("uw_so", {"temperature": 5.0})
    fixed = parse_arguments([*base, "--loss.weighting", "{semantic: 1, depth: 0.5}"])
    assert fixed.loss.weighting == {"semantic": 1.0, "depth": 0.5}
    with pytest.raises(ValueError, match=r"loss\.weighting: .*gls.*nearest is 'uncertainty'"):
        parse_arguments([*base, "--loss.weighting", "uncertain"])
    with pytest.raises(ValueError, match=r"loss\.weighting_options: uw_so has temperature, got a"):
        parse_arguments(
            [*base, "--loss.weighting", "uw_so", "--loss.weighting_options", "{alpha: 1}"]
        )


def test_options_reach_the_scheme(tiny: Make) -> None:
    config = tiny()
    config.loss.weighting, config.loss.weighting_options = "uw_so", {"temperature": 7.0}
    scheme = Trainer(config).criterion.scheme
    assert isinstance(scheme, SoftOptimalUncertainty)
    assert scheme.temperature == 7.0
