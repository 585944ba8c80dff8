"""Which keys a configuration has, and the nearest to one that it does not have."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from mtl_cuda.engine.config.train_config import TrainConfig

_SECTIONS: dict[str, Any] = {
    name: kind for name, kind in get_type_hints(TrainConfig).items() if is_dataclass(kind)
}
KEYS = tuple(f"{name}.{field.name}" for name, kind in _SECTIONS.items() for field in fields(kind))
"""All keys by their full names, such as "optim.learning_rate"."""

_FLAGS = ("help", "config", "print_config", "resume")


def check_keys(values: Mapping[str, Any]) -> None:
    """Make sure that nested values have keys of a configuration alone.

    Raises:
        ValueError: one is unknown, and which is the nearest; or a section holds no keys.
    """
    for section, content in values.items():
        name = str(section)
        if name in _SECTIONS:
            _check_section(name, content)
        elif "." in name:
            _check(name)
        else:
            is_section = content is None or isinstance(content, Mapping)
            _refuse(name, tuple(_SECTIONS) if is_section else KEYS)


def check_arguments(arguments: Sequence[str]) -> None:
    """The same for command-line arguments and the files that they name.

    Raises:
        ValueError: as for `check_keys`; a file that cannot be read is left to who reads it.
    """
    import yaml

    for file in _files(arguments):
        try:
            values = yaml.safe_load(Path(file).read_text())
        except (OSError, yaml.YAMLError, UnicodeDecodeError):
            continue
        if isinstance(values, Mapping):
            check_keys(values)
    for argument in arguments:
        name = argument.partition("=")[0]
        if name.startswith("--") and name[2:] not in (*_FLAGS, *_SECTIONS):
            _check(name[2:], (*_FLAGS, *KEYS))


def _files(arguments: Sequence[str]) -> Iterator[str]:
    for place, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name == "--config" and (equals or place + 1 < len(arguments)):
            yield value if equals else arguments[place + 1]


def _check_section(name: str, content: Any) -> None:
    if isinstance(content, str):  # the path of a file, which has its own reader
        return
    if not isinstance(content, Mapping):
        raise ValueError(
            f"configuration: {name}: expected keys of this section, got {content!r}; without any, "
            "leave the section out"
        )
    for key in content:
        _check(f"{name}.{key}")


def _check(key: str, known: Sequence[str] = KEYS) -> None:
    """Behind a key there may be one of its mapping, such as loss.weighting.semantic."""
    if ".".join(key.split(".")[:2]) not in KEYS:
        _refuse(key, known)


def _refuse(key: str, known: Sequence[str]) -> None:
    same_name = [name for name in known if name.rpartition(".")[2] == key.rpartition(".")[2]]
    nearest = same_name or difflib.get_close_matches(key, known, 1, cutoff=0.0)
    raise ValueError(f"configuration: unknown key {key}: did you mean {nearest[0]}?")
