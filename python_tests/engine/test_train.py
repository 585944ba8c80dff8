from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from mtl_cuda.data import DatasetInfo, SceneSource
from mtl_cuda.engine import train as train_module
from mtl_cuda.engine.bad_steps import NonFiniteLossError
from mtl_cuda.engine.build import start_log_variances
from mtl_cuda.engine.checkpoint import load_checkpoint
from mtl_cuda.engine.config import TrainConfig
from mtl_cuda.engine.loading import Batch, training_batches
from mtl_cuda.engine.train import Trainer

Make = Callable[..., TrainConfig]
TASKS = ("semantic", "instance", "depth")
_CLOCK = ("images_per_s", "data_wait")


def rows_of(out: Path, split: str) -> list[dict[str, str]]:
    with open(out / "metrics.csv", newline="") as file:
        return [row for row in csv.DictReader(file) if row["split"] == split]


def test_three_steps_on_three_tasks(tiny: Make) -> None:
    trainer = Trainer(tiny())
    result = trainer.fit()
    assert (result.steps, result.exit_code) == (3, 0)
    training, validation = rows_of(trainer.out, "train"), rows_of(trainer.out, "val")
    assert [row["step"] for row in training] == ["1", "2", "3"]
    assert [row["step"] for row in validation] == ["2", "3"]
    for row in training:
        for task in TASKS:
            loss, sigma = float(row[f"loss/{task}"]), float(row[f"sigma/{task}"])
            assert loss > 0
            assert sigma > 0
            weight = 1 / sigma**2 if task == "semantic" else 0.5 / sigma**2
            assert float(row[f"weight/{task}"]) == pytest.approx(weight, rel=1e-3)
        assert row["semantic/miou"] == ""
    for key, value in result.metrics.items():
        text = validation[-1][key]
        assert math.isnan(value) if text == "nan" else float(text) == pytest.approx(value, rel=1e-4)
    assert set(result.metrics) == set(result.baseline)
    assert {path.name for path in trainer.out.iterdir()} == {
        "best.pt",
        "config.yaml",
        "confusion.csv",
        "last.pt",
        "metrics.csv",
        "previous.pt",
    }


def test_the_configuration_is_written_whole(tiny: Make, tmp_path: Path) -> None:
    """In place of an older one, not into its file, whose second name keeps what was there."""
    config, kept = tiny(steps=1), tmp_path / "kept.yaml"
    out = Path(config.run.out)
    out.mkdir()
    (out / "config.yaml").write_text("an older one")
    kept.hardlink_to(out / "config.yaml")
    Trainer(config)
    assert kept.read_text() == "an older one"
    assert "steps: 1" in (out / "config.yaml").read_text()


def test_checkpoint_holds_the_run(tiny: Make) -> None:
    trainer = Trainer(tiny())
    result = trainer.fit()
    state = load_checkpoint(trainer.out / "last.pt")
    assert (state["step"], state["steps"]) == (3, 3)
    assert DatasetInfo(**state["info"]) == trainer.info
    assert {k: v for k, v in state["metrics"].items() if v == v} == {
        k: v for k, v in result.metrics.items() if v == v
    }
    for name, weight in trainer.network.state_dict().items():
        assert torch.equal(state["model"][name], weight)
    assert trainer.criterion.log_variances is not None
    assert torch.equal(state["criterion"]["log_variances"], trainer.criterion.log_variances)
    momentum = [entry["momentum_buffer"] for entry in state["optimizer"]["state"].values()]
    assert any(buffer.abs().max() > 0 for buffer in momentum)


def test_same_seed_same_run_whatever_the_workers(tiny: Make, tmp_path: Path) -> None:
    files = []
    for name, workers in (("a", 0), ("b", 2)):
        config = tiny(out=str(tmp_path / name), seed=5)
        config.data.workers = workers
        Trainer(config).fit()
        rows = rows_of(tmp_path / name, "train") + rows_of(tmp_path / name, "val")
        files.append([{k: v for k, v in row.items() if k not in _CLOCK} for row in rows])
    assert files[0] == files[1]
    other = tiny(out=str(tmp_path / "c"), seed=6)
    Trainer(other).fit()
    assert rows_of(tmp_path / "c", "train")[0]["total"] != files[0][0]["total"]


def test_every_loss_and_sigma_falls_on_one_batch(tiny: Make) -> None:
    config = tiny(steps=60)
    config.optim.learning_rate = 0.1
    trainer = Trainer(config)
    batch = next(training_batches(trainer.train_source, config.data, 0))
    trainer.network.eval()  # which a training step must undo
    rows = [trainer.train_step(batch) for _ in range(60)]
    assert trainer.network.training
    for task in TASKS:
        assert rows[-1][f"loss/{task}"] < 0.7 * rows[0][f"loss/{task}"]
        assert rows[-1][f"sigma/{task}"] < 0.9 * rows[0][f"sigma/{task}"]


def test_fixed_weights_and_fewer_tasks(tiny: Make) -> None:
    config = tiny(steps=1)
    config.loss.tasks = ("depth",)
    config.loss.weighting = {"depth": 2.0}
    config.model.output_scale = {"depth": 0.1}
    trainer = Trainer(config)
    result = trainer.fit()
    assert set(result.metrics) == {"depth/mean_error", "depth/rms_error"}
    row = rows_of(trainer.out, "train")[0]
    assert row["sigma/depth"] == ""
    assert float(row["weight/depth"]) == 2.0
    assert float(row["total"]) == pytest.approx(2 * float(row["loss/depth"]), rel=1e-4)


def test_log_variances_start_at_the_optimum(tiny: Make) -> None:
    config = tiny()
    config.loss.likelihoods = {"depth": "laplace"}
    trainer = Trainer(config)
    batch = next(training_batches(trainer.train_source, config.data, 0))
    images = batch["image"]
    targets = {task: batch[task] for task in TASKS}
    output = trainer.criterion(trainer.network(images), targets)
    start_log_variances(trainer.criterion, output)
    output = trainer.criterion(trainer.network(images), targets)
    output.total.backward()
    assert trainer.criterion.log_variances is not None
    gradient = trainer.criterion.log_variances.grad
    assert gradient is not None
    assert gradient.abs().max() < 1e-3


def test_a_loss_that_is_not_finite_stops_the_run(
    tiny: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def poisoned(source: SceneSource, *rest: Any) -> Iterator[Batch]:
        for step, batch in enumerate(training_batches(source, *rest)):
            if step == 2:
                batch["image"][0, 0, 0, 0] = math.nan
            yield batch

    trainer = Trainer(tiny(steps=9, eval_every=2))
    monkeypatch.setattr(train_module, "training_batches", poisoned)
    before = None
    with pytest.raises(NonFiniteLossError, match=r"step 2.*samples: synth_\d+.*, synth_\d+"):
        trainer.fit()
    state = load_checkpoint(trainer.out / "last.pt")
    before = state["model"]["backbone.conv1.weight"]
    assert state["step"] == 2
    assert torch.equal(trainer.network.state_dict()["backbone.conv1.weight"], before)


def test_time_budget_sets_the_steps_and_the_schedule(
    tiny: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Budget:
        def __init__(self, minutes: float, steps: int, most: int, first: int) -> None:
            assert (minutes, steps, most, first) == (2.5, 100, 100, 0)

        def plan(self, done: int) -> int:
            return 100 if done < 2 else 4

    monkeypatch.setattr(train_module, "TimeBudget", Budget)
    trainer = Trainer(tiny(steps=100, minutes=2.5, eval_every=None))
    result = trainer.fit()
    assert (result.steps, result.exit_code) == (4, 0)
    rates = [float(row["lr"]) for row in rows_of(trainer.out, "train")]
    expected = [0.02, 0.02 * 0.99**0.9, 0.02 * 0.5**0.9, 0.02 * 0.25**0.9]
    assert rates == pytest.approx(expected, rel=1e-4)


def test_a_run_is_not_overwritten(tiny: Make) -> None:
    Trainer(tiny(steps=1)).fit()
    with pytest.raises(FileExistsError, match=r"run\.overwrite"):
        Trainer(tiny())
    assert Trainer(tiny(steps=1, overwrite=True)).fit().steps == 1


def test_batch_larger_than_the_data_set(tiny: Make) -> None:
    config = tiny()
    config.data.batch_size = 7
    with pytest.raises(ValueError, match=r"data\.batch_size.* 6 "):
        Trainer(config).fit()


def test_unknown_device(tiny: Make) -> None:
    with pytest.raises(ValueError, match="abacus"):
        Trainer(tiny(device="abacus"))


def test_missing_data_is_told_before_anything_is_written(tiny: Make, tmp_path: Path) -> None:
    config = tiny()
    config.data.root = str(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        Trainer(config)
    assert not (tmp_path / "run").exists()
