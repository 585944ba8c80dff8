"""Training runs of two processes: equal to one process, stopped, gone on, and by whom written."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_runs import assert_same_run, rows
from ranks_runs import on_ranks, train, train_each
from tiny_runs import tiny_config

from mtl_cuda.engine.checkpoint import load_checkpoint
from mtl_cuda.engine.config import TrainConfig
from mtl_cuda.engine.distributed import ALONE

STEPS = 5  # of three batches per epoch
Found = list[dict[str, Any]]


def configured(scenes: Path, out: Path, **run: object) -> TrainConfig:
    """A repeatable run with a validation split that two processes cannot share equally."""
    values = {"steps": STEPS, "deterministic": True, "resume": "auto", **run}
    config = tiny_config(scenes, out, **values)
    config.data = dataclasses.replace(config.data, scale_range=(0.7, 1.5), eval_batch_size=1)
    return config


def comparable(scenes: Path, out: Path) -> TrainConfig:
    """One that does not depend on how a batch is shared: every process has dropout of its own, and
    batch normalisation sees its part alone."""
    config = configured(scenes, out)
    config.model = dataclasses.replace(config.model, dropout=0.0, batch_norm="frozen")
    return config


@pytest.fixture(scope="module")
def runs(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Found]]:
    """Runs of two processes, one after the other, and what each process knows of them."""
    out = tmp_path_factory.mktemp("ranks")
    stopped = configured(scenes, out / "stopped")
    todo: dict[str, tuple[Any, ...]] = {
        "together": (comparable(scenes, out / "together"),),
        "whole": (configured(scenes, out / "whole"),),
        "stopped in a step": (stopped, (1, "learn", 2)),
        "stopped in an evaluation": (stopped, (0, "measure", 1)),
        "gone on": (stopped,),
        "spoilt": (configured(scenes, out / "spoilt", max_bad_steps=1), None, (1, 2)),
    }
    both = on_ranks(train_each, list(todo.values()))
    return out, {name: [found[i] for found in both] for i, name in enumerate(todo)}


def test_two_processes_end_where_one_does(
    scenes: Path, tmp_path: Path, runs: tuple[Path, dict[str, Found]]
) -> None:
    out, found = runs
    alone = train(ALONE, comparable(scenes, tmp_path / "alone"))
    one, other = found["together"]
    assert [a + b for a, b in zip(one["seen"], other["seen"])] == alone["seen"]
    for name in ("last.pt", "best.pt"):
        ours, theirs = (
            load_checkpoint(folder / name) for folder in (out / "together", tmp_path / "alone")
        )
        for part in ("model", "criterion", "optimizer"):
            torch.testing.assert_close(ours[part], theirs[part], rtol=1e-6, atol=1e-6)
    for name in ("metrics", "baseline"):
        assert one[name] == pytest.approx(alone[name], rel=1e-5, abs=1e-6, nan_ok=True)
        assert repr(one[name]) == repr(other[name])


def test_all_leave_out_the_step_that_one_has_spoilt(runs: tuple[Path, dict[str, Found]]) -> None:
    out, found = runs
    assert [(one["code"], one["steps"]) for one in found["spoilt"]] == [(0, STEPS)] * 2
    state = load_checkpoint(out / "spoilt" / "last.pt")
    assert list(state["bad_steps"]) == ["1"]
    assert all(tensor.isfinite().all() for tensor in state["model"].values())
    losses = [row["total"] for row in rows(out / "spoilt") if row["split"] == "train"]
    assert [loss == "nan" for loss in losses] == [False, True, False, False, False]


def test_one_process_goes_on_from_two(scenes: Path, runs: tuple[Path, dict[str, Found]]) -> None:
    out, _ = runs
    config = configured(scenes, out / "fewer", steps=STEPS + 1, resume=str(out / "whole/last.pt"))
    assert train(ALONE, config)["steps"] == STEPS + 1
    assert load_checkpoint(out / "fewer" / "last.pt")["random_of_others"] == []


def test_one_process_writes(runs: tuple[Path, dict[str, Found]]) -> None:
    _, found = runs
    assert all(one["wrote"] and not other["wrote"] for one, other in found.values())


def test_a_signal_to_one_process_stops_both(runs: tuple[Path, dict[str, Found]]) -> None:
    _, found = runs
    for name, steps in (("stopped in a step", 2), ("stopped in an evaluation", 2)):
        assert [(one["code"], one["steps"]) for one in found[name]] == [(143, steps)] * 2
    assert [one["code"] for one in found["gone on"]] == [0, 0]


def test_what_was_stopped_ends_bit_for_bit_as_what_was_not(
    runs: tuple[Path, dict[str, Found]],
) -> None:
    """Dropout included, which differs from process to process."""
    out, found = runs
    parts = ("stopped in a step", "stopped in an evaluation", "gone on")
    for index, whole in enumerate(found["whole"]):
        assert [batch for part in parts for batch in found[part][index]["seen"]] == whole["seen"]
    assert_same_run(out / "whole", out / "stopped")
    random = load_checkpoint(out / "whole" / "last.pt")
    assert not torch.equal(random["random"]["torch"], random["random_of_others"][0]["torch"])
