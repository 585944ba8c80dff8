"""Checkpoints: plain dicts of tensors and numbers, in files that are whole or not there."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any

import torch

FORMAT = 1
"""Raised when a change makes older files unreadable."""


class CheckpointError(ValueError):
    """A checkpoint file cannot be used; the message names the file."""


def save_checkpoint(path: str | os.PathLike[str], state: dict[str, Any]) -> None:
    """Write `state` (dicts, lists, tuples, tensors, numbers, strings) to `path`.

    The data go to a temporary file in the same folder, are forced to the disk, and then take the
    place of an older file in one step: a crash or a full disk at any moment leaves the old file.

    Raises:
        OSError: the file cannot be written; names it. No temporary file is left.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with open(temporary, "wb") as file:
            torch.save({"format": FORMAT, **state}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
        raise OSError(f"{path}: the checkpoint could not be written: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def load_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote, onto the CPU; no code in the file is ever run.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: the file is damaged, is no checkpoint of this program, holds objects other
            than data, or has another format.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # a damaged file can make torch raise almost anything
        raise CheckpointError(
            f"{path}: not a readable checkpoint: damaged, of another kind, or with Python objects "
            "in it, which are never loaded"
        ) from error
    if not isinstance(state, dict) or "format" not in state:
        raise CheckpointError(f"{path}: not a checkpoint of mtl-cuda train")
    if state.pop("format") != FORMAT:
        raise CheckpointError(f"{path}: written by another version; this one reads format {FORMAT}")
    return state


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut, where the system can."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
