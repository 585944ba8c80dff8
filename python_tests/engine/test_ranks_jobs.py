"""Whole commands in two processes: signals, processes that are killed or hang, restarts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from engine_runs import assert_same_run
from ranks_runs import COUNT, command, started
from tiny_runs import tiny_config
from torch import distributed, nn

from mtl_cuda.engine.checkpoint import load_checkpoint
from mtl_cuda.engine.config import to_yaml
from mtl_cuda.engine.distributed import Ranks, joined_ranks


def written(scenes: Path, folder: Path, **run: object) -> Path:
    """The file of a configuration whose run goes on until it is stopped."""
    values = {"steps": 100_000, "eval_every": None, "resume": "auto", **run}
    config = tiny_config(scenes, folder / "run", **values)
    folder.mkdir(exist_ok=True)
    file = folder / "config.yaml"
    file.write_text(to_yaml(config))
    return file


def wait_for(condition: Callable[[], Any], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def steps_of(folder: Path) -> int:
    log = folder / "run" / "metrics.csv"
    return log.read_bytes().count(b"\n") - 1 if log.exists() else 0


def test_a_number_of_processes_alone_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with (
        pytest.raises(ValueError, match=r"WORLD_SIZE is 2 .* RANK, .*: start with torchrun"),
        joined_ranks("cpu", 5.0),
    ):
        pass


def test_a_signal_to_all_processes(scenes: Path, tmp_path: Path) -> None:
    """As a scheduler sends it: saved by one process, and the same exit code from both."""
    file = written(scenes, tmp_path, deterministic=True)
    with started(command, tmp_path, ["train", "--config", str(file)]) as processes:
        wait_for(lambda: steps_of(tmp_path) > 2)
        for process in processes:
            os.kill(process.pid or 0, signal.SIGTERM)
        for process in processes:
            process.join(30)
        assert [process.exitcode for process in processes] == [143, 143]
    assert load_checkpoint(tmp_path / "run" / "last.pt")["step"] > 2
    assert "stopped by SIGTERM" in (tmp_path / "out-0").read_text()
    assert (tmp_path / "out-1").read_text().strip() == "SIGTERM: stopping after this step"


@pytest.mark.parametrize("killed", range(COUNT))
def test_a_killed_process_ends_the_other(scenes: Path, tmp_path: Path, killed: int) -> None:
    file = written(scenes, tmp_path)
    with started(command, tmp_path, ["train", "--config", str(file)]) as processes:
        wait_for(lambda: steps_of(tmp_path) > 2)
        processes[killed].kill()
        processes[1 - killed].join(10)
        assert processes[1 - killed].exitcode == 2
    said = (tmp_path / f"out-{1 - killed}").read_text()
    assert "error: another process of this run ended, or did not answer" in said


def test_a_hung_process_ends_the_other_in_time(scenes: Path, tmp_path: Path) -> None:
    file = written(scenes, tmp_path, rank_timeout=2.0)
    with started(command, tmp_path, ["train", "--config", str(file)]) as processes:
        wait_for(lambda: steps_of(tmp_path) > 2)
        os.kill(processes[1].pid or 0, signal.SIGSTOP)
        processes[0].join(15)
        processes[1].kill()
        assert processes[0].exitcode == 2
    assert "did not answer within run.rank_timeout" in (tmp_path / "out-0").read_text()


def test_an_error_of_one_process_is_told_by_both(scenes: Path, tmp_path: Path) -> None:
    file = written(scenes, tmp_path, resume=None)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.csv").write_text("step\n")
    with started(command, tmp_path, ["train", "--config", str(file)]) as processes:
        for process in processes:
            process.join(30)
        assert [process.exitcode for process in processes] == [2, 2]
    assert "already holds a run" in (tmp_path / "out-0").read_text()
    assert "rank 0: FileExistsError: run.out: " in (tmp_path / "out-1").read_text()


def fail_with_module(folder: Path) -> None:
    """Fail while a wrapped module is held; say whether it was gone when the group was left."""
    held: list[weakref.ref[nn.Module]] = []

    def fail(ranks: Ranks) -> None:
        module = ranks.wrapped(nn.Linear(2, 2))
        module.hooks = [module]  # type: ignore  # a circle, as hooks make them
        held.append(weakref.ref(module))
        raise ValueError("no such thing")

    def leave() -> None:
        (folder / f"left-{os.environ['RANK']}").write_text(str(held[0]() is None))
        distributed.distributed_c10d.destroy_process_group()

    watched = patch.object(distributed, "destroy_process_group", leave)
    with watched, joined_ranks("cpu", 20.0) as ranks:
        fail(ranks)


def test_a_failed_process_lets_go_of_the_network_first(tmp_path: Path) -> None:
    """Or its destructor could wait for ever."""
    with started(fail_with_module, tmp_path) as processes:
        for process in processes:
            process.join(30)
    assert [(tmp_path / f"left-{rank}").read_text() for rank in range(COUNT)] == ["True"] * COUNT


def test_torchrun_restarts_what_was_killed(scenes: Path, tmp_path: Path) -> None:
    """And the run ends with the weights of one that nobody touched."""
    run: dict[str, object] = {"steps": 6, "save_every": 1, "deterministic": True}
    whole = written(scenes, tmp_path / "whole", **run)
    with started(command, tmp_path, ["train", "--config", str(whole)]) as processes:
        for process in processes:
            process.join(60)
    file = written(scenes, tmp_path / "killed", **run)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    options = ["--nproc-per-node", str(COUNT), "--max-restarts", "1"]
    program = [str(Path(__file__).parents[1] / "kill_once.py"), "3"]
    job = subprocess.run(
        [*torchrun, *options, *program, "train", "--config", str(file)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert job.returncode == 0, job.stderr
    assert "going on from step 2 of 6" in job.stdout
    assert_same_run(tmp_path / "whole" / "run", tmp_path / "killed" / "run")
