"""Which runs are trained, and what becomes of those that fail, are killed or stopped."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

import pytest
from written_runs import write_run

from mtl_cuda.engine.config import TrainConfig
from mtl_cuda.experiments import EXPERIMENTS
from mtl_cuda.experiments.experiment import Experiment
from mtl_cuda.experiments.lock import locked
from mtl_cuda.experiments.plan import Run, Variant, configured
from mtl_cuda.experiments.pool import Outcome, RunPool
from mtl_cuda.experiments.results import read_record
from mtl_cuda.experiments.runner import Conclusion, run_stages

Tiny = Callable[..., TrainConfig]


class WritingPool:
    """Writes runs instead of training them; those of `broken` variants fail."""

    def __init__(self, broken: Sequence[str] = ()) -> None:
        self.broken = broken
        self.trained: list[str] = []
        self.stopped_by: signal.Signals | None = None

    def __enter__(self) -> WritingPool:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def train(self, runs: Sequence[Run], report: Callable[[Outcome], None]) -> list[Outcome]:
        outcomes = []
        for run in runs:
            error = "it broke" if run.variant.name in self.broken else None
            if error is None:
                losses = {f"loss/{task}": [1.0] for task in run.config.loss.tasks}
                metrics = {"semantic/miou": [0.1], "instance/mean_error": [1.0]}
                write_run(run, {**metrics, "depth/mean_error": [1.0]}, losses)
            self.trained.append(run.name)
            outcomes.append(Outcome(run, error, 60.0))
            report(outcomes[-1])
        return outcomes


def _run(
    config: TrainConfig,
    out: Path,
    pool: WritingPool,
    seeds: int = 1,
    name: str = "likelihoods",
    reuse: Sequence[Path] = (),
) -> tuple[Conclusion, list[str]]:
    said: list[str] = []
    experiment = EXPERIMENTS[name]
    conclusion = run_stages(
        experiment, config, out, seeds, 1, reuse=reuse, say=said.append, pool=pool
    )
    return conclusion, said


def test_finished_runs_are_skipped(tiny: Tiny, tmp_path: Path) -> None:
    first, again, more = WritingPool(), WritingPool(), WritingPool()
    _run(tiny(), tmp_path, first)
    assert len(first.trained) == 4
    conclusion, said = _run(tiny(), tmp_path, again)
    assert again.trained == []
    assert said == ["stage 1 of 1: 4 runs, 4 of them finished before"]
    assert len(conclusion.results.sample("softmax-laplace", "semantic/miou")) == 1
    conclusion, _ = _run(tiny(), tmp_path, more, seeds=2)
    assert more.trained == [name.replace("seed0", "seed1") for name in first.trained]
    assert len(conclusion.results.sample("softmax-laplace", "semantic/miou")) == 2


def test_runs_of_another_experiment_are_taken_over(tiny: Tiny, tmp_path: Path) -> None:
    table = tmp_path / "table1"
    _run(tiny(), table, WritingPool(), name="table1", seeds=2)
    (table / "runs" / "broke-at-once" / "seed0").mkdir(parents=True)
    pool, config = WritingPool(), tiny(log_every=1)
    out = tmp_path / "likelihoods"
    conclusion, said = _run(config, out, pool, seeds=2, reuse=[table])
    assert said[0] == "stage 1 of 1: 8 runs, 0 of them finished before, 2 in another experiment"
    assert len(pool.trained) == 6
    assert "softmax-gaussian/seed0" not in pool.trained
    assert len(conclusion.results.records("softmax-gaussian")) == 2
    taken = out / "runs" / "softmax-gaussian" / "seed1"
    trained = table / "runs" / "learned" / "seed1"
    assert (taken / "metrics.csv").read_bytes() == (trained / "metrics.csv").read_bytes()
    assert str(trained) in (taken / "config.yaml").read_text()
    _, said = _run(config, out, pool, seeds=2, reuse=[table])
    assert said[0] == "stage 1 of 1: 8 runs, 8 of them finished before"


def test_runs_of_another_configuration_are_not(tiny: Tiny, tmp_path: Path) -> None:
    _run(tiny(), tmp_path / "table1", WritingPool(), name="table1")
    pool = WritingPool()
    other = configured(tiny(), {"optim": {"learning_rate": 0.5}})
    _run(other, tmp_path / "out", pool, reuse=[tmp_path / "table1"])
    assert len(pool.trained) == 4
    with pytest.raises(FileNotFoundError, match=r"--reuse: .*nowhere holds no runs"):
        _run(other, tmp_path / "out", pool, reuse=[tmp_path / "nowhere"])


def test_a_folder_takes_one_command_at_a_time(tiny: Tiny, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code = (
        "import sys, pathlib; from mtl_cuda.experiments.lock import locked\n"
        "with locked(pathlib.Path(sys.argv[1])): print('locked', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with other:
        assert other.stdout
        assert other.stdout.readline()
        with pytest.raises(ValueError, match=f"out is in use by .* process {other.pid}"):
            _run(tiny(), out, WritingPool())
        other.kill()  # which gives the folder back
    assert _run(tiny(), out, WritingPool())[0].exit_code == 0


@pytest.mark.parametrize("error", [errno.ENOLCK, errno.EIO])
def test_a_drive_without_locks_is_used_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    def flock(*_: object) -> None:
        raise OSError(error, "no lock")

    monkeypatch.setattr(fcntl, "flock", flock)
    refused = pytest.raises(OSError, match="no lock")
    with nullcontext() if error == errno.ENOLCK else refused, locked(tmp_path):
        pass


def test_a_failure_is_reported_and_tried_again(tiny: Tiny, tmp_path: Path) -> None:
    conclusion, said = _run(tiny(), tmp_path, WritingPool(["softmax-laplace"]), seeds=2)
    assert [outcome.run.seed for outcome in conclusion.failures] == [0, 1]
    assert conclusion.exit_code == 2
    assert any("softmax-laplace/seed1: FAILED: it broke" in line for line in said)
    assert "about 3 min for the other 3" in "\n".join(said)
    assert len(conclusion.results.records("softmax-gaussian")) == 2
    mended = WritingPool()
    conclusion, _ = _run(tiny(), tmp_path, mended, seeds=2)
    assert mended.trained == ["softmax-laplace/seed0", "softmax-laplace/seed1"]
    assert conclusion.exit_code == 0


def test_the_search_waits_for_what_it_needs(tiny: Tiny, tmp_path: Path) -> None:
    conclusion, _ = _run(tiny(), tmp_path, WritingPool(["single-depth"]), name="table1")
    assert "searched" not in conclusion.results.variants
    whole = WritingPool()
    _run(tiny(), tmp_path, whole, name="table1")
    assert len(whole.trained) == 1 + 13 + 2
    assert whole.trained[-2:] == ["searched/seed0", "equal-shares/seed0"]


def test_a_stop_ends_the_experiment(tiny: Tiny, tmp_path: Path) -> None:
    pool = WritingPool()
    pool.stopped_by = signal.SIGTERM
    conclusion, said = _run(tiny(), tmp_path, pool, name="table1")
    assert conclusion.exit_code == 143
    assert len([line for line in said if line.startswith("stage")]) == 1


def test_a_run_that_was_stopped_alone_is_a_failure(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(runs: Sequence[Run], _: object) -> list[Outcome]:
        return [Outcome(run, None, 1.0, stopped=run == runs[0]) for run in runs]

    pool = WritingPool()
    monkeypatch.setattr(pool, "train", train)
    conclusion, _ = _run(tiny(), tmp_path, pool)
    (failure,) = conclusion.failures
    assert "a signal to its process stopped it" in str(failure.error)
    assert conclusion.exit_code == 2


def test_what_cannot_be_run_is_told_first(tiny: Tiny, tmp_path: Path) -> None:
    pool = WritingPool()
    with pytest.raises(ValueError, match=r"run\.minutes"):
        _run(tiny(minutes=1.0), tmp_path, pool)
    with pytest.raises(ValueError, match="seeds, jobs: expected at least 1 each, got 0 and 1"):
        _run(tiny(), tmp_path, pool, seeds=0)
    _run(tiny(), tmp_path, pool)
    with pytest.raises(ValueError, match=r"another configuration: optim\.learning_rate was 0\.02"):
        _run(configured(tiny(), {"optim": {"learning_rate": 0.3}}), tmp_path, pool)
    assert len(pool.trained) == 4


def test_processes_train_survive_failures_and_go_on(tiny: Tiny, tmp_path: Path) -> None:
    """Real processes: one run fails, another's process is killed; then the rest is trained."""
    bad = {"data": {"root": str(tmp_path / "nowhere")}}
    long = {"run": {"steps": 100_000, "save_every": 1, "eval_every": None}}
    three = Experiment(
        "three",
        "",
        (lambda config, _: [Variant("bad", "", bad), Variant("long", "", long), Variant("a", "")],),
        summarise=EXPERIMENTS["likelihoods"].summarise,
    )
    checkpoint = tmp_path / "runs" / "long" / "seed0" / "last.pt"
    with RunPool(jobs=1, threads=1) as pool:
        killer = threading.Thread(target=_kill_after, args=(pool, checkpoint))
        killer.start()
        conclusion = run_stages(three, tiny(), tmp_path, 1, 1, say=lambda _: None, pool=pool)
        killer.join()
        errors = {failure.run.name: failure.error for failure in conclusion.failures}
        assert set(errors) == {"bad/seed0", "long/seed0"}
        assert "nowhere" in str(errors["bad/seed0"])
        assert errors["long/seed0"] == "its process ended with exit code -9"
        assert "Traceback" in (tmp_path / "runs" / "bad" / "seed0" / "log.txt").read_text()
        assert conclusion.results.records("a")
        stopper = threading.Thread(target=_stop_after, args=(checkpoint, checkpoint.stat()))
        stopper.start()
        conclusion = run_stages(three, tiny(), tmp_path, 1, 1, say=lambda _: None, pool=pool)
        stopper.join()
    assert conclusion.exit_code == 143
    log = (checkpoint.parent / "log.txt").read_text()
    assert log.count("SIGTERM: stopping after this step") == 1
    assert read_record(conclusion.results.records("a")[0].run) is not None


def _kill_after(pool: RunPool, checkpoint: Path) -> None:
    _wait(checkpoint.exists)
    process = pool.processes()[0]
    os.kill(process, signal.SIGKILL)


def _stop_after(checkpoint: Path, before: os.stat_result) -> None:
    _wait(lambda: checkpoint.exists() and checkpoint.stat().st_mtime_ns > before.st_mtime_ns)
    os.kill(os.getpid(), signal.SIGTERM)


def _wait(done: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not done() and time.monotonic() < end:
        time.sleep(0.05)
