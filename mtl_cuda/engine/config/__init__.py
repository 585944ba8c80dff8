"""Configurations of training runs: their fields, what these may hold, and files of them."""

from mtl_cuda.engine.config.parse import from_dict, parse_arguments, to_dict, to_yaml
from mtl_cuda.engine.config.sections import (
    DataConfig,
    LossConfig,
    ModelConfig,
    OptimConfig,
    RunConfig,
)
from mtl_cuda.engine.config.train_config import TrainConfig

__all__ = [
    "DataConfig",
    "LossConfig",
    "ModelConfig",
    "OptimConfig",
    "RunConfig",
    "TrainConfig",
    "from_dict",
    "parse_arguments",
    "to_dict",
    "to_yaml",
]
