"""A tiny data set and a tiny recipe: fixtures for the tests of what runs networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import torch

from mtl_cuda.data.synth import write_dataset
from mtl_cuda.engine.config import (
    DataConfig,
    LossConfig,
    ModelConfig,
    OptimConfig,
    RunConfig,
    TrainConfig,
)

SIZE = (32, 64)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Networks this small are slower on several threads, much so on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated tree of six training and three validation scenes."""
    return write_dataset(tmp_path_factory.mktemp("data") / "scenes", 6, 3, SIZE, seed=1)


@pytest.fixture
def tiny(scenes: Path, tmp_path: Path) -> Callable[..., TrainConfig]:
    """Makes configurations for a run of a few steps; arguments replace fields of the run."""
    return partial(tiny_config, scenes, tmp_path / "run")


def tiny_config(scenes: Path, folder: Path, **run: object) -> TrainConfig:
    """The configuration of a run of a few steps; arguments replace fields of the run."""
    values = {"steps": 3, "log_every": 1, "eval_every": 2, "panels": 1, "device": "cpu"}
    values |= {"tensorboard": False, **run}
    return TrainConfig(
        data=DataConfig(
            root=str(scenes),
            disparity="disparity_gt",
            size=SIZE,
            batch_size=2,
            eval_batch_size=2,
            workers=0,
        ),
        model=ModelConfig(
            backbone="resnet18",
            output_stride=16,
            width=0.125,
            aspp_channels=8,
            decoder_channels=8,
            output_scale={"instance": 10.0, "depth": 0.1},
        ),
        loss=LossConfig(),
        optim=OptimConfig(learning_rate=0.02, clip_norm=5.0),
        run=RunConfig(**{"out": str(folder), **values}),  # type: ignore[arg-type]
    )
