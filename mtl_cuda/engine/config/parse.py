"""How files and arguments fill a configuration.

`mtl-cuda train --config FILE [--key value]` reads a YAML file and lets arguments override it; keys
are nested (`--optim.learning_rate 0.01`). A key that does not exist is an error that names it and
the nearest one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mtl_cuda.engine.config.keys import check_arguments, check_keys
from mtl_cuda.engine.config.sections import (
    DataConfig,
    LossConfig,
    ModelConfig,
    OptimConfig,
    RunConfig,
)
from mtl_cuda.engine.config.train_config import TrainConfig
from mtl_cuda.engine.segments import InstanceConfig

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser


def parse_arguments(arguments: Sequence[str]) -> TrainConfig:
    """Fill a configuration from command-line arguments such as ["--config", "a.yaml"].

    `--resume` is taken as `--run.resume`.

    Raises:
        ValueError: an unknown key, or a value of the wrong type or out of range; names the key.
    """
    full = [
        argument.replace("--resume", "--run.resume", 1)
        if argument.partition("=")[0] == "--resume"
        else argument
        for argument in arguments
    ]
    check_arguments(full)
    return _parsed(lambda parser: parser.parse_args(full))


def from_dict(values: Mapping[str, Any]) -> TrainConfig:
    """Fill a configuration from nested dicts, such as `to_dict` makes.

    Raises:
        ValueError: as for `parse_arguments`.
    """
    check_keys(values)
    return _parsed(lambda parser: parser.parse_object(dict(values)))


def to_dict(config: TrainConfig) -> dict[str, Any]:
    """Turn a configuration into nested dicts of plain numbers, strings, tuples and lists."""
    return asdict(config)


def to_yaml(config: TrainConfig) -> str:
    """Write a configuration as YAML that `--config` reads."""
    import yaml

    plain = {
        section: {key: list(v) if isinstance(v, tuple) else v for key, v in values.items()}
        for section, values in to_dict(config).items()
    }
    return yaml.safe_dump(plain, sort_keys=False, default_flow_style=None)


def _parser() -> ArgumentParser:
    import jsonargparse

    parser = jsonargparse.ArgumentParser(
        prog="mtl-cuda train",
        usage="mtl-cuda train --config FILE [--resume auto] [--KEY VALUE ...]",
        exit_on_error=False,
        description="Train a network on a data set. Every key of the YAML file is an argument too. "
        "Ctrl-C and SIGTERM finish the step and write a checkpoint, from which --resume auto goes "
        "on; the exit codes are 130 and 143 then, 2 after an error.",
    )
    parser.add_argument("--config", action="config", help="YAML file with any of the keys below")
    parser.add_class_arguments(TrainConfig)
    return parser


def _parsed(parse: Callable[[ArgumentParser], Any]) -> TrainConfig:
    import jsonargparse

    try:
        values = parse(_parser()).as_dict()
    except jsonargparse.ArgumentError as error:
        raise ValueError(f"configuration: {_plain(str(error))}") from error
    return TrainConfig(
        data=DataConfig(**values["data"]),
        model=ModelConfig(**values["model"]),
        loss=LossConfig(**values["loss"]),
        optim=OptimConfig(**values["optim"]),
        instances=InstanceConfig(**values["instances"]),
        run=RunConfig(**values["run"]),
    )


def _plain(message: str) -> str:
    """One line, in which keys and types have their own names."""
    line = re.sub(r'Parser key "([^"]+)":', r"\1:", " ".join(message.split()))
    return re.sub(r"<class '(\w+)'>", r"\1", line).replace("typing.", "")
