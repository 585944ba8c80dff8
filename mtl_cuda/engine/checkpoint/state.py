"""What the checkpoint of a run holds: everything that the next step depends on."""

from __future__ import annotations

import dataclasses
import random
from typing import Any, Protocol

import numpy as np
import torch

from mtl_cuda.data import DatasetInfo, SceneSource
from mtl_cuda.engine.checkpoint.folder import Checkpoint
from mtl_cuda.engine.checkpoint.sealed import CheckpointError
from mtl_cuda.engine.config import TrainConfig, to_dict
from mtl_cuda.engine.distributed import Ranks
from mtl_cuda.engine.loading import Position

_NUMBERS = ("step", "evaluated", "seconds", "metrics", "baseline", "best_score", "threads")


class Stateful(Protocol):
    """A part whose state belongs into checkpoints."""

    def state_dict(self) -> dict[str, Any]: ...  # noqa: D102

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any: ...  # noqa: D102


class Run(Protocol):
    """What a training run must offer; it also has an attribute for each of `_NUMBERS`.

    Attributes:
        config: of the run.
        ranks: the processes that train together.
        parts: by the name under which a checkpoint holds their state.
        position: among the samples.
        steps: that are planned.
        train_source: scenes that it learns from.
        info: of the data set.
    """

    config: TrainConfig
    ranks: Ranks
    parts: dict[str, Stateful]
    position: Position
    steps: int
    train_source: SceneSource
    info: DatasetInfo


def capture_run(run: Run) -> dict[str, Any]:
    """All of a run: numbers, strings, tuples, dicts and tensors; all processes must call it."""
    main, *others = run.ranks.gathered(random_states())
    return {
        **{name: part.state_dict() for name, part in run.parts.items()},
        **{name: getattr(run, name) for name in _NUMBERS},
        "steps": run.steps,
        "position": dataclasses.asdict(run.position),
        "random": main,
        "random_of_others": others,
        "config": to_dict(run.config),
        "info": dataclasses.asdict(run.info),
        "scenes": len(run.train_source),
    }


def apply_run(run: Run, checkpoint: Checkpoint) -> None:
    """Put a trainer of the same configuration where the captured one was.

    The plan of steps is kept unless the configuration has another length now. A process that the
    captured run did not have goes on with the random numbers of its own start.

    Raises:
        CheckpointError: something is missing or does not fit; `run` is of no use then.
    """
    state = checkpoint.state
    try:
        for name, part in run.parts.items():
            part.load_state_dict(state[name])
        for name in _NUMBERS:
            setattr(run, name, state[name])
        run.position = Position(**state["position"])
        length, before = run.config.run, state["config"]["run"]
        if (length.steps, length.minutes) == (before["steps"], before["minutes"]):
            run.steps = state["steps"]
        states = [state["random"], *state.get("random_of_others", [])]
        if run.ranks.index < len(states):
            set_random_states(states[run.ranks.index])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(
            f"{checkpoint.path}: the checkpoint does not fit this run: {reason}"
        ) from error


def seed_generators(seed: int) -> None:
    """Seed all global generators; the own parts draw from PyTorch's alone, others' may not."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    torch.manual_seed(seed)


def random_states() -> dict[str, Any]:
    """The states of all global generators: Python's, NumPy's, PyTorch's, and those of the GPUs."""
    name, key, *rest = np.random.get_state()  # noqa: NPY002 - the state of others' numbers
    return {
        "python": random.getstate(),
        "numpy": (name, torch.from_numpy(np.asarray(key, np.int64)), *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_states(states: dict[str, Any]) -> None:
    """Put all global generators where `random_states` found them.

    Those of the GPUs are left alone where there is another number of them now.
    """
    random.setstate(states["python"])
    name, key, *rest = states["numpy"]
    np.random.set_state((name, key.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(states["torch"])
    if torch.cuda.is_available() and len(states["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(states["cuda"])
