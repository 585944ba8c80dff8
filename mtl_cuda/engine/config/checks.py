"""What no configuration may hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from mtl_cuda.engine.config.sections import (
    DataConfig,
    LossConfig,
    ModelConfig,
    OptimConfig,
    RunConfig,
)
from mtl_cuda.engine.segments import InstanceConfig
from mtl_cuda.metrics.scene import TASKS
from mtl_cuda.weighting import with_options


class Sections(Protocol):
    """What is checked: see `TrainConfig`."""

    data: DataConfig
    model: ModelConfig
    loss: LossConfig
    optim: OptimConfig
    instances: InstanceConfig
    run: RunConfig


def check_config(config: Sections) -> None:
    """Make sure that a run can use every value.

    Raises:
        ValueError: it cannot; names the key.
    """
    _check_tasks(config)
    _check_weighting(config.loss)
    for key in (
        "data.batch_size",
        "data.eval_batch_size",
        "run.steps",
        "run.log_every",
        "optim.accumulate",
    ):
        _check(config, key, lambda value: value >= 1, "at least 1")
    for key in (
        "data.workers",
        "data.timeout",
        "data.skip_bad",
        "run.panels",
        "run.seed",
        "run.max_bad_steps",
        "optim.weight_decay",
        "optim.warmup_steps",
    ):
        _check(config, key, lambda value: value >= 0, "at least 0")
    for key in (
        "run.eval_every",
        "run.save_every",
        "run.baseline_scenes",
        "instances.min_samples",
        "instances.min_pixels",
        "instances.min_stuff_pixels",
    ):
        _check(config, key, lambda value: value is None or value >= 1, "at least 1")
    for key in (
        "run.minutes",
        "run.save_minutes",
        "run.rank_timeout",
        "optim.clip_norm",
        "optim.learning_rate",
        "instances.eps",
    ):
        _check(config, key, lambda value: value is None or value > 0, "more than 0")
    _check(config, "optim.momentum", lambda value: 0 <= value < 1, "in 0..1, less than 1")
    _check(
        config,
        "optim.ema_decay",
        lambda value: value is None or 0 < value < 1,
        "more than 0 and less than 1",
    )
    _check_together(config)
    if config.data.crop_size is None and config.data.size is None:
        raise ValueError(
            "data.crop_size: expected a height and width where data.size is null too: the "
            "scenes of a batch must be of one size"
        )


def _check_together(config: Sections) -> None:
    """What each may be, but not both."""
    if config.run.compile and config.model.checkpointing:
        raise ValueError(
            "run.compile: torch.compile cannot take a network with model.checkpointing; choose one"
        )
    if config.run.precision == "float16" and config.loss.weighting == "gradnorm":
        raise ValueError(
            "run.precision: the gradients that gradnorm (loss.weighting) measures are too small "
            "for float16; take bfloat16 or float32"
        )


def _check_tasks(config: Sections) -> None:
    tasks = config.loss.tasks
    if not tasks or len(set(tasks)) != len(tasks) or not set(tasks) <= set(TASKS):
        raise ValueError(f"loss.tasks: expected some of {', '.join(TASKS)}, got {list(tasks)}")
    for key, mapping in (
        ("model.output_scale", config.model.output_scale),
        ("loss.likelihoods", config.loss.likelihoods),
        ("loss.initial_log_variance", config.loss.initial_log_variance),
    ):
        if not isinstance(mapping, Mapping):
            continue
        unknown = sorted(set(mapping) - set(TASKS))
        if unknown:
            raise ValueError(f"{key}: expected tasks ({', '.join(TASKS)}), got {unknown}")


def _check_weighting(loss: LossConfig) -> None:
    try:
        if isinstance(loss.weighting, str):
            with_options(loss.weighting, loss.weighting_options)
        elif loss.weighting_options:
            raise ValueError("weighting_options: fixed weights have none")
    except ValueError as error:
        raise ValueError(f"loss.{error}") from error


def _check(config: Sections, key: str, holds: Callable[[Any], bool], expected: str) -> None:
    section, name = key.split(".")
    value = getattr(getattr(config, section), name)
    if not holds(value):
        raise ValueError(f"{key}: expected {expected}, got {value}")
