"""The folder of a training run and the checkpoints in it."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtl_cuda.engine.checkpoint.sealed import CheckpointError, load_checkpoint, save_checkpoint


@dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint file, and the file."""

    path: Path
    state: dict[str, Any]


class RunFolder:
    """`last.pt`, `previous.pt` (the last but one), `best.pt` and `metrics.csv` of a run.

    Args:
        path: of the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.last = path / "last.pt"
        self.previous = path / "previous.pt"
        self.best = path / "best.pt"
        self.metrics = path / "metrics.csv"

    def claim(self, overwrite: bool) -> None:
        """Make the folder for a new run; one that holds a run is taken only where that is wanted.

        The checkpoints of an earlier run are removed: the new one must not go on from them.

        Raises:
            FileExistsError: it holds a run, and `overwrite` is False.
        """
        checkpoints = (self.last, self.previous, self.best)
        held = any(file.exists() for file in (self.metrics, *checkpoints))
        if held and not overwrite:
            raise FileExistsError(
                f"run.out: {self.path} already holds a run; choose another folder, or set "
                "run.resume to auto to go on with it, or run.overwrite to replace it"
            )
        self.path.mkdir(parents=True, exist_ok=True)
        for file in checkpoints:
            file.unlink(missing_ok=True)

    def save(self, state: dict[str, Any], best: bool) -> None:
        """Write last.pt, keep the one before it, and write best.pt too where it is the best.

        Raises:
            OSError: see `save_checkpoint`.
        """
        if best:  # first: a last.pt that knows of a best score must have its best.pt beside it
            save_checkpoint(self.best, state)
        save_checkpoint(self.last, state, older=self.previous)

    def newest(self) -> Checkpoint | None:
        """Load the newest checkpoint that is whole; None where there is none at all.

        A newer one that is damaged is told in a warning and renamed, so that it does not push out
        the one that is used.

        Raises:
            CheckpointError: none that is there can be used.
        """
        refused: list[tuple[Path, Exception]] = []
        for path in (self.last, self.previous, self.best):
            if not path.exists():
                continue
            try:
                found = Checkpoint(path, load_checkpoint(path))
            except (CheckpointError, OSError) as error:
                refused.append((path, error))
                continue
            for damaged, reason in refused:
                os.replace(damaged, damaged.with_suffix(".damaged"))
                warnings.warn(f"{reason}; going on from {path.name} instead", stacklevel=2)
            return found
        if refused:
            raise CheckpointError("; ".join(str(reason) for _, reason in refused))
        return None
