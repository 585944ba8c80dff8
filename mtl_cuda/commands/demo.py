"""The whole system in a few minutes: scenes are made, learned from, and the result is shown."""

from __future__ import annotations

import os
import time
from pathlib import Path

from mtl_cuda.commands.synth import run_synth
from mtl_cuda.commands.train import train_and_report
from mtl_cuda.engine.config import (
    DataConfig,
    ModelConfig,
    OptimConfig,
    RunConfig,
    TrainConfig,
)

_TRAINING_SCENES = 320
_VALIDATION_SCENES = 32
_SIZE = (128, 256)
_AFTER_TRAINING = 8.0  # seconds for the last evaluation and the report
_LEAST_SHARE = 0.3  # of the time goes to training, however long the scenes took

_NOTE = (
    "This run shows that the parts work together, not what they can do: a small network saw a few "
    "hundred small generated scenes for two or three minutes. Rare and thin classes need more of "
    "everything."
)


def run_demo(out: Path, minutes: float, seed: int) -> int:
    """Generate scenes, train a small network on all three tasks, evaluate it, write a report.

    The number of training steps is set from the time the first ones take, so that everything
    together takes about `minutes`.

    Args:
        out: folder to write to; what an earlier demo left there is replaced.
        minutes: for everything.
        seed: of the scenes and the training.

    Returns:
        The exit code: see `TrainResult`.

    Raises:
        ValueError: `minutes` is not positive.
        FileExistsError: `out` holds something else than an earlier demo.
    """
    if minutes <= 0:
        raise ValueError(f"minutes: expected more than 0, got {minutes}")
    start = time.monotonic()
    scenes = out / "scenes"
    print(f"1/2  making {_TRAINING_SCENES + _VALIDATION_SCENES} street scenes")
    run_synth(
        scenes,
        _TRAINING_SCENES,
        _VALIDATION_SCENES,
        _SIZE,
        seed,
        os.cpu_count() or 1,
        overwrite=True,
    )
    spent = time.monotonic() - start + _AFTER_TRAINING
    for_training = max(minutes - spent / 60, _LEAST_SHARE * minutes)
    print(f"2/2  training on them for {for_training:.1f} minutes")
    config = demo_config(scenes, out / "run", for_training, seed)
    result = train_and_report(
        config, title="Demo: three tasks, weighed by learned uncertainty", notes=[_NOTE]
    )
    if result.stopped_by is None:
        print(f"everything took {time.monotonic() - start:.0f} s")
    return result.exit_code


def demo_config(scenes: Path, out: Path, minutes: float, seed: int) -> TrainConfig:
    """A small network and a recipe that learns within minutes on two cores."""
    return TrainConfig(
        data=DataConfig(
            root=str(scenes),
            disparity="disparity_gt",
            size=_SIZE,
            # Scenes as they are: a random scale would leave the same picture with another depth.
            scale_range=(1.0, 1.0),
            batch_size=4,
        ),
        model=ModelConfig(
            backbone="resnet18",
            width=0.375,
            aspp_channels=48,
            decoder_channels=48,
            dropout=0.0,
            output_scale={"instance": 20.0, "depth": 0.1},
        ),
        # From scratch and for few steps: forty times the paper's learning rate. The log-variances
        # keep up with it: their time constant is 2 steps at the start.
        optim=OptimConfig(learning_rate=0.1, clip_norm=5.0),
        run=RunConfig(
            out=str(out),
            overwrite=True,
            steps=20_000,
            minutes=minutes,
            seed=seed,
            log_every=10,
            eval_every=100,
        ),
    )
