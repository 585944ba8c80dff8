"""Exported weights: a safetensors file, and beside it a JSON file with all else of the network.

The pair is enough to predict, holds no code, and is read without PyTorch's pickles.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

import mtl_cuda
from mtl_cuda.data.io import write_bytes
from mtl_cuda.engine.checkpoint import CheckpointError

FORMAT = 1
"""Raised when a change makes older files unreadable."""

WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"


def is_exported(path: str | os.PathLike[str]) -> bool:
    """Whether a path names exported weights, rather than a checkpoint."""
    path = Path(path)
    return path.is_dir() or path.suffix in (".safetensors", ".json")


def save_weights(
    folder: Path,
    weights: Mapping[str, Tensor],
    config: Mapping[str, Any],
    info: Mapping[str, Any],
    step: int,
) -> list[Path]:
    """Write model.safetensors and model.json into `folder`; returns their paths.

    Args:
        folder: made where it is missing.
        weights: of the network, by name.
        config: of its training run, in nested dicts.
        info: fields of its `DatasetInfo`.
        step: training steps it has had.

    Raises:
        OSError: a file cannot be written.
    """
    from safetensors.torch import save

    data = save({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()})
    content = {
        "format": FORMAT,
        "mtl_cuda": mtl_cuda.__version__,
        "weights_sha256": hashlib.sha256(data).hexdigest(),
        "step": step,
        "info": dict(info),
        "config": dict(config),
    }
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / WEIGHTS, folder / DESCRIPTION]
    write_bytes(written[0], data)
    write_bytes(written[1], json.dumps(content, indent=1).encode() + b"\n")
    return written


def load_weights(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what `save_weights` wrote.

    Args:
        path: the folder, or one of the two files in it.

    Returns:
        as `load_checkpoint`: "model", "config", "info" and "step".

    Raises:
        FileNotFoundError: one of the files is missing.
        CheckpointError: a file is damaged, of another version, or not of the other's export.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    path = Path(path)
    if path.is_dir():
        description = path / DESCRIPTION
    elif path.suffix == ".safetensors":
        description = path.with_suffix(".json")
    else:
        description = path
    if not description.is_file():
        raise FileNotFoundError(
            f"{path}: no exported weights, since {description} is missing; mtl-cuda export writes "
            "them with it"
        )
    content = _read_description(description)
    # By the name of the description, so that the two can be renamed together.
    weights = description.with_suffix(".safetensors")
    if not weights.is_file():
        raise FileNotFoundError(f"{path}: no such weights: {weights}")
    data = weights.read_bytes()
    if hashlib.sha256(data).hexdigest() != content["weights_sha256"]:
        raise CheckpointError(f"{weights}: damaged, or not the weights that {description} is about")
    try:
        model = load(data)
    except SafetensorError as error:
        raise CheckpointError(f"{weights}: not a readable file of weights: {error}") from error
    return {"model": model, **{key: content[key] for key in ("config", "info", "step")}}


def _read_description(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
        found = content["format"]
        info = content["info"]
        for field in ("class_names", "thing_classes", "label_ids"):
            info[field] = tuple(info[field])
        info["palette"] = tuple(map(tuple, info["palette"]))
        if info.get("image_size") is not None:
            info["image_size"] = tuple(info["image_size"])
        content["config"], content["step"], content["weights_sha256"]
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path}: no description of exported weights: {type(error).__name__} {error}"
        ) from error
    if found != FORMAT:
        raise CheckpointError(f"{path}: format {found}; this version reads format {FORMAT}")
    return content
