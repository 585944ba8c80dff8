"""A whole training run: all sections."""

from __future__ import annotations

from dataclasses import dataclass, field

from mtl_cuda.engine.config.checks import check_config
from mtl_cuda.engine.config.sections import (
    DataConfig,
    LossConfig,
    ModelConfig,
    OptimConfig,
    RunConfig,
)
from mtl_cuda.engine.segments import InstanceConfig


@dataclass
class TrainConfig:
    """A whole training run.

    Attributes:
        data: which scenes, and how they become batches.
        model: the network.
        loss: the tasks and how their losses are weighed.
        optim: the optimizer.
        instances: how they are found in predictions.
        run: how long, where to, and how often to look.

    Raises:
        ValueError: a value that no run can use; names the key.
    """

    data: DataConfig
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    instances: InstanceConfig = field(default_factory=InstanceConfig)
    run: RunConfig = field(default_factory=RunConfig)

    def __post_init__(self) -> None:
        check_config(self)
