from __future__ import annotations

import dataclasses
import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from engine_runs import assert_same_run, kill_at_events, leaves, rows, train_until_killed

from mtl_cuda.engine.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from mtl_cuda.engine.checkpoint.state import random_states, set_random_states
from mtl_cuda.engine.config import TrainConfig, parse_arguments
from mtl_cuda.engine.determinism import deterministic_algorithms
from mtl_cuda.engine.loading import Batch, Position, training_batches
from mtl_cuda.engine.train import Trainer

Make = Callable[..., TrainConfig]
STEPS = 7  # of three batches per epoch


def configured(tiny: Make, out: Path, workers: int = 0, **run: object) -> TrainConfig:
    """An exactly repeatable run with means over three steps, dropout and augmentation."""
    values = {"steps": STEPS, "deterministic": True, "log_every": 3, "eval_every": 2}
    config = tiny(out=str(out), **{"resume": "auto", **values, **run})
    config.data = dataclasses.replace(config.data, workers=workers, scale_range=(0.7, 1.5))
    assert config.model.dropout > 0
    return config


def train(config: TrainConfig, stop_at: int | None = None) -> list[tuple[str, ...]]:
    """Train, to the end or until SIGTERM comes in a step; returns the samples of every step."""
    trainer = Trainer(config)
    step, seen = trainer.train_step, []

    def watched(batch: Batch) -> dict[str, float]:
        seen.append(tuple(batch["name"]))
        if trainer.step + 1 == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(batch)

    trainer.train_step = watched  # type: ignore[method-assign]
    result = trainer.fit()
    assert result.exit_code == (0 if stop_at is None else 143)
    assert result.steps == (stop_at or config.run.steps)
    return seen


@pytest.fixture
def whole(tiny: Make, tmp_path: Path) -> tuple[Path, list[tuple[str, ...]]]:
    """A run that was never stopped, and its samples."""
    return tmp_path / "whole", train(configured(tiny, tmp_path / "whole"))


@pytest.mark.parametrize("weighting", ["dwa", "rlw", "gradnorm"])
def test_the_state_of_a_weighting_goes_on(tiny: Make, tmp_path: Path, weighting: str) -> None:
    for name, stops in (("whole", (None,)), ("stopped", (2, 4, None))):
        config = configured(tiny, tmp_path / name, eval_every=None)
        config.loss.weighting = weighting
        for stop in stops:
            train(config, stop)
    assert_same_run(tmp_path / "whole", tmp_path / "stopped")


@pytest.mark.parametrize(("workers", "stops"), [(0, (1, 2, 3, 5)), (2, (4,))])
def test_a_stopped_run_ends_bit_for_bit_as_one_that_was_not(
    tiny: Make,
    tmp_path: Path,
    whole: tuple[Path, list[tuple[str, ...]]],
    workers: int,
    stops: tuple[int, ...],
) -> None:
    out, seen = tmp_path / "stopped", []
    config = configured(tiny, out, workers)
    for stop in (*stops, None):
        torch.rand(7), random.random(), np.random.rand()  # noqa: NPY002
        seen += train(config, stop)
    assert seen == whole[1]
    assert_same_run(out, whole[0])


def test_a_difference_would_be_seen(
    tiny: Make, tmp_path: Path, whole: tuple[Path, list[tuple[str, ...]]]
) -> None:
    """Each part of the state matters: forgetting any of them ends in other weights or rows."""
    config = configured(tiny, tmp_path / "stopped")
    train(config, 4)
    final = load_checkpoint(whole[0] / "last.pt")
    for part, key in (("random", "torch"), ("optimizer", "state"), ("position", "batch")):
        out = tmp_path / part
        shutil.copytree(tmp_path / "stopped", out)
        state = load_checkpoint(out / "last.pt")
        state[part][key] = {"torch": torch.Generator().get_state(), "state": {}, "batch": 0}[key]
        save_checkpoint(out / "last.pt", state)
        train(configured(tiny, out))
        changed = load_checkpoint(out / "last.pt")["model"]
        assert dict(leaves(changed)) != dict(leaves(final["model"])), part


def test_killed_runs_end_bit_for_bit_as_one_that_was_not(
    tiny: Make, tmp_path: Path, whole: tuple[Path, list[tuple[str, ...]]]
) -> None:
    """kill -9 in steps, between rows, and around every system call of saving."""

    def config(event: int) -> TrainConfig:
        return configured(tiny, tmp_path / str(event), save_every=3)

    (events,) = kill_at_events(train_until_killed, [(config(0), 0)])
    assert events > 40
    every = 1 if os.environ.get("MTL_CUDA_KILLS") == "all" else events // 6
    chosen = range(2, events + 1, every)
    assert set(kill_at_events(train_until_killed, [(config(e), e) for e in chosen])) == {0}
    for event in (0, *chosen):
        train(config(event))
        assert_same_run(tmp_path / str(event), whole[0])


def test_a_finished_run_is_finished_and_can_be_made_longer(tiny: Make, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert len(train(configured(tiny, out, steps=2))) == 2
    before = (out / "last.pt").read_bytes()
    trainer = Trainer(configured(tiny, out, steps=2))
    result = trainer.fit()
    assert (result.steps, result.exit_code) == (2, 0)
    assert result.metrics.keys() == result.baseline.keys()
    assert (out / "last.pt").read_bytes() == before
    assert len(train(configured(tiny, out, steps=5))) == 3
    assert [(row["step"], row["split"]) for row in rows(out)] == [
        ("2", "train"),
        ("2", "val"),
        ("3", "train"),
        ("4", "val"),
        ("5", "train"),
        ("5", "val"),
    ]
    with pytest.raises(ValueError, match=r"run\.steps.*5 steps.*got 4"):
        Trainer(configured(tiny, out, steps=4))


def test_minutes_count_from_the_first_start(tiny: Make, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train(configured(tiny, out, steps=500, minutes=60.0), stop_at=2)
    state = load_checkpoint(out / "last.pt")
    assert 0 < state["seconds"] < 60
    save_checkpoint(out / "last.pt", {**state, "seconds": 3600.0, "steps": 400})
    trainer = Trainer(configured(tiny, out, steps=500, minutes=60.0))
    assert trainer.steps == 400  # the plan that the schedule had followed
    result = trainer.fit()
    assert result.steps == 2 + 13  # the fewest from which a speed can be told
    assert result.seconds > 3600


def test_another_run_is_refused_by_the_names_of_its_keys(tiny: Make, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train(configured(tiny, out, steps=1))
    config = configured(tiny, out)
    config.optim = dataclasses.replace(config.optim, learning_rate=0.5)
    config.run.seed = 3
    with pytest.raises(ValueError, match=r"optim\.learning_rate was 0\.02 and is 0\.5.*run\.seed"):
        Trainer(config)
    config = configured(tiny, out, steps=2, eval_every=5, save_minutes=1.0, panels=0)
    config.data = dataclasses.replace(config.data, eval_batch_size=1, workers=1)
    assert Trainer(config).step == 1


def test_other_scenes_are_refused(tiny: Make, tmp_path: Path, scenes: Path) -> None:
    out = tmp_path / "run"
    train(configured(tiny, out, steps=1))
    shutil.copytree(scenes, tmp_path / "fewer")
    next((tmp_path / "fewer" / "leftImg8bit" / "train" / "synth").iterdir()).unlink()
    config = configured(tiny, out)
    config.data = dataclasses.replace(config.data, root=str(tmp_path / "fewer"))
    with pytest.raises(ValueError, match=r"data\.root had 6 training scenes and has 5"):
        Trainer(config)


def test_a_named_checkpoint_and_another_folder(tiny: Make, tmp_path: Path) -> None:
    train(configured(tiny, tmp_path / "one", steps=3))
    first = tmp_path / "one" / "previous.pt"
    config = configured(tiny, tmp_path / "two", steps=3, resume=str(first))
    trainer = Trainer(config)
    assert (trainer.step, trainer.resumed) == (2, first)
    trainer.fit()
    assert_same_weights(tmp_path / "one", tmp_path / "two")
    config.run.resume = str(tmp_path / "missing.pt")
    with pytest.raises(FileNotFoundError, match=r"missing\.pt"):
        Trainer(config)
    config.run.resume = str(first)
    with pytest.raises(FileExistsError, match="already holds a run"):
        Trainer(config)


def assert_same_weights(one: Path, other: Path) -> None:
    a, b = (dict(leaves(load_checkpoint(out / "last.pt")["model"])) for out in (one, other))
    assert a == b


def test_a_damaged_last_checkpoint_costs_one_interval(tiny: Make, tmp_path: Path) -> None:
    whole, out = tmp_path / "whole", tmp_path / "run"
    train(configured(tiny, whole))
    train(configured(tiny, out), stop_at=5)
    (out / "last.pt").write_bytes((out / "last.pt").read_bytes()[:-100])
    with pytest.warns(UserWarning, match=r"last\.pt.*previous\.pt"):
        assert len(train(configured(tiny, out))) == STEPS - 4
    assert_same_run(whole, out)


def test_checkpoints_of_other_things_are_refused(tiny: Make, tmp_path: Path) -> None:
    train(configured(tiny, tmp_path / "run", steps=1))
    path = tmp_path / "run" / "last.pt"
    state = load_checkpoint(path)
    save_checkpoint(path, {key: value for key, value in state.items() if key != "position"})
    with pytest.raises(CheckpointError, match=r"last\.pt.*position"):
        Trainer(configured(tiny, tmp_path / "run"))
    save_checkpoint(path, {"model": {}})
    with pytest.raises(CheckpointError, match=r"last\.pt.*config"):
        Trainer(configured(tiny, tmp_path / "run"))


def test_a_row_that_was_cut_off_is_left_out(tiny: Make, tmp_path: Path) -> None:
    whole, out = tmp_path / "whole", tmp_path / "run"
    train(configured(tiny, whole))
    train(configured(tiny, out), stop_at=4)
    with open(out / "metrics.csv", "a") as file:
        file.write("4,val,,,,,,,,,\r\n6,train,0.1")
    train(configured(tiny, out))
    assert_same_run(whole, out)


def test_order_goes_on_in_the_middle_of_an_epoch(tiny: Make) -> None:
    config = tiny()
    source = Trainer(config).train_source

    def names(position: Position) -> Iterator[list[str]]:
        for batch in training_batches(source, config.data, 3, position):
            yield list(batch["name"])

    walk, position = names(position := Position()), position
    everything = []
    places = []
    for _ in range(8):
        places.append((position.epoch, position.batch))
        everything.append(next(walk))
    assert places == [(0, 0), (0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3), (2, 1)]
    for index, (epoch, batch) in enumerate(places):
        assert next(names(Position(epoch, batch))) == everything[index]


def test_random_states_of_all_generators() -> None:
    states = random_states()
    drawn = [(random.random(), np.random.rand(), torch.rand(1).item()) for _ in range(3)]  # noqa: NPY002
    set_random_states(states)
    assert drawn == [(random.random(), np.random.rand(), torch.rand(1).item()) for _ in range(3)]  # noqa: NPY002


def test_deterministic_mode_ends() -> None:
    threads = torch.get_num_threads()
    with deterministic_algorithms(True, threads + 1):
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.backends.cudnn.deterministic
        assert torch.get_num_threads() == threads + 1
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.get_num_threads() == threads
    with deterministic_algorithms(False, threads + 1):
        assert torch.get_num_threads() == threads


@pytest.mark.parametrize("arguments", [["--resume", "auto"], ["--resume=auto"]])
def test_resume_is_short_for_its_key(arguments: list[str]) -> None:
    config = parse_arguments(["--data.root", "x", "--data.size", "[8, 8]", *arguments])
    assert config.run.resume == "auto"
