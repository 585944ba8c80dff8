"""Which checkpoint a run goes on from, and whether the two are the same run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mtl_cuda.engine.checkpoint.folder import Checkpoint, RunFolder
from mtl_cuda.engine.checkpoint.sealed import CheckpointError, load_checkpoint
from mtl_cuda.engine.config import TrainConfig, from_dict, to_dict
from mtl_cuda.engine.distributed import ALONE, Ranks

_FREE = {
    "data.root",
    "data.workers",
    "data.eval_batch_size",
    "data.timeout",
    "data.skip_bad",
    "model.pretrained_backbone",
    "model.checkpointing",
    "instances",
    "run.out",
    "run.overwrite",
    "run.resume",
    "run.steps",
    "run.minutes",
    "run.save_every",
    "run.save_minutes",
    "run.eval_every",
    "run.log_every",
    "run.device",
    "run.rank_timeout",
    "run.deterministic",
    "run.channels_last",
    "run.compile",
    "run.max_bad_steps",
    "run.panels",
    "run.tensorboard",
}
"""Keys and sections that may change: where things are, how often, how long, and on what machine."""


def find_checkpoint(config: TrainConfig, ranks: Ranks = ALONE) -> Checkpoint | None:
    """Load the checkpoint that `run.resume` asks for; None where the run starts afresh.

    Of several processes the main one finds it, and every one loads it.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: it cannot be used.
    """
    found = []

    def find() -> Path | None:
        found.append(_find_checkpoint(config))
        return None if found[0] is None else found[0].path

    path = ranks.on_main(find)
    if found:
        return found[0]
    return None if path is None else Checkpoint(path, load_checkpoint(path))


def _find_checkpoint(config: TrainConfig) -> Checkpoint | None:
    resume = config.run.resume
    if resume is None:
        return None
    if resume == "auto":
        return RunFolder(Path(config.run.out)).newest()
    return Checkpoint(Path(resume), load_checkpoint(resume))


def check_same_run(checkpoint: Checkpoint, config: TrainConfig, scenes: int) -> None:
    """Make sure that going on gives the run that `config` describes.

    Args:
        checkpoint: to go on from.
        config: of the run.
        scenes: in its training split.

    Raises:
        ValueError: it would not; names every key, its value there and here.
        CheckpointError: it is the checkpoint of no training, or of another version.
    """
    state = checkpoint.state
    try:
        there, here = _by_key(state["config"]), _by_key(to_dict(config))
        done, learned_from = state["step"], state["scenes"]
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{checkpoint.path}: no run can go on from this checkpoint: {error}"
        ) from error
    different = [
        f"{key} was {there[key]!r} and is {here[key]!r}" for key in here if there[key] != here[key]
    ]
    if learned_from != scenes:
        different.append(f"data.root had {learned_from} training scenes and has {scenes}")
    if different:
        raise ValueError(
            f"run.resume: {checkpoint.path} is of another run: {'; '.join(different)}. Give the "
            "same values, or start a new run in another run.out"
        )
    if config.run.steps < done:
        raise ValueError(
            f"run.steps: expected at least the {done} steps that {checkpoint.path} has had, got "
            f"{config.run.steps}"
        )


def _by_key(config: dict[str, Any]) -> dict[str, Any]:
    """The values that must not change, by their full names; those that are missing by default."""
    return {
        f"{section}.{key}": value
        for section, values in to_dict(from_dict(config)).items()
        if section not in _FREE
        for key, value in values.items()
        if f"{section}.{key}" not in _FREE
    }
