"""`mtl-cuda synth`: generated scenes as a data set."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mtl_cuda.data.synth import SynthConfig, write_dataset


def run_synth(
    out: Path,
    train: int,
    val: int,
    size: tuple[int, int],
    seed: int,
    workers: int,
    config: SynthConfig | None = None,
    overwrite: bool = False,
) -> None:
    """Generate scenes with a progress bar: see `mtl_cuda.data.synth.write_dataset`."""
    start = time.monotonic()
    with tqdm(total=train + val, unit="scene", disable=None, leave=False) as bar:
        write_dataset(
            out,
            train,
            val,
            size,
            seed,
            workers,
            lambda done, _: bar.update(done - bar.n),
            config=config,
            overwrite=overwrite,
        )
    print(f"{train} + {val} scenes in {time.monotonic() - start:.0f} s: {out.resolve()}")


def read_settings(file: Path | None, settings: Sequence[str]) -> SynthConfig:
    """The generator's settings from a YAML file and from NAME=VALUE, which come in its place.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds no settings; a setting is unknown, or its value cannot be; names it.
    """
    values = {} if file is None else _from_file(file)
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise ValueError(f"--set: expected NAME=VALUE such as texture=0.5, got {setting!r}")
        values[name.strip()] = _value(text)
    try:
        return SynthConfig.from_values(values)
    except ValueError as error:
        raise ValueError(f"settings of the streets: {error}") from error


def _from_file(file: Path) -> dict[str, Any]:
    import yaml

    try:
        values = yaml.safe_load(file.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"--config {file}: no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, Mapping):
        raise ValueError(f"--config {file}: expected lines such as texture: 0.5, got {values!r}")
    return dict(values)


def _value(text: str) -> Any:
    """A number, or the two of LOW,HIGH; another text is left to who checks it."""
    parts = [_number(part) for part in text.split(",")]
    return parts if len(parts) > 1 else parts[0]


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
