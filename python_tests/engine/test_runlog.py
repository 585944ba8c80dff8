from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from mtl_cuda.engine import logging
from mtl_cuda.engine.config import TrainConfig, from_dict, to_dict
from mtl_cuda.engine.logging import Progress, StepMeter, describe_speed
from mtl_cuda.engine.runlog import RunLog, read_confusion, write_confusion
from mtl_cuda.engine.tensorboard import TensorBoardLog, wants_tensorboard
from mtl_cuda.engine.train import Trainer

Make = Callable[..., TrainConfig]
needs_tensorboard = pytest.mark.skipif(
    importlib.util.find_spec("tensorboard") is None, reason="TensorBoard is not installed"
)
PICTURE = np.full((8, 6, 3), 200, np.uint8)


class Clock:
    """Stands in for `time`: it goes on only when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(logging, "time", clock)
    return clock


def slow(clock: Clock, waits: list[float]) -> Iterator[int]:
    for index, seconds in enumerate(waits):
        clock.now += seconds
        yield index


def test_the_share_of_waiting(clock: Clock) -> None:
    meter = StepMeter()
    batches = meter.watching(slow(clock, [1.0, 3.0, 0.0]))
    for _ in range(2):
        with meter.timing(images=8):
            next(batches)
            clock.now += 2.0
        meter.add({"total": 1.0})
    assert meter.speed() == {"images_per_s": 2.0, "data_wait": 0.5}
    assert describe_speed(meter.speed()) == "2 images/s, 50 % waiting"
    other = StepMeter()
    other.load_state_dict(meter.state_dict())
    assert other.means() == {"total": 1.0, "images_per_s": 2.0, "data_wait": 0.5}
    assert other.speed()["data_wait"] == 0.0
    with meter.timing(images=8):
        next(batches)
    with pytest.raises(StopIteration):
        next(batches)


def test_time_left(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(steps=110, done=10) as progress:
        clock.now += 50.0
        progress.show(20, "loss 1")  # ten steps took 50 s, 90 are to come
    assert "step 20/110  loss 1  07:30 left" in capsys.readouterr().out


def test_without_a_folder_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with RunLog(None, ["total"], {"train": 0, "val": 0}, tensorboard=True) as log:
        log.write(1, "train", {"total": 1.0})
        log.write_confusion(torch.zeros(2, 3, dtype=torch.int64), ["a", "b"])
        log.write_panels(1, lambda: pytest.fail("drawn"))
    assert list(tmp_path.iterdir()) == []


def test_confusion_file(tmp_path: Path) -> None:
    path = tmp_path / "confusion.csv"
    assert read_confusion(path) is None
    counts = torch.tensor([[5, 2, 0], [2**40, 0, 1]])
    write_confusion(path, counts, ["road", 'a "b", c'])
    names, read = read_confusion(path) or ([], np.empty(0))
    assert names == ["road", 'a "b", c']
    assert read.tolist() == counts.tolist()
    path.write_text("true class,a,no class\na,1\n")
    with pytest.raises(ValueError, match=r"confusion\.csv"):
        read_confusion(path)


def test_a_new_run_forgets_the_confusion_of_the_old_one(tmp_path: Path) -> None:
    for evaluated, left in ((2, True), (0, False)):
        (tmp_path / "confusion.csv").touch()
        RunLog(tmp_path, [], {"train": evaluated, "val": evaluated}).__exit__()
        assert (tmp_path / "confusion.csv").exists() is left


def test_confusion_agrees_with_the_metrics(tiny: Make) -> None:
    trainer = Trainer(tiny())
    result = trainer.fit()
    found = read_confusion(trainer.out / "confusion.csv")
    assert found is not None
    names, counts = found
    assert names == list(trainer.info.class_names)
    right = np.trace(counts) / counts.sum()
    assert right == pytest.approx(result.metrics["semantic/pixel_accuracy"])


def read_events(folder: Path) -> tuple[dict[str, list[int]], dict[str, list[int]]]:
    """Steps of every number and of every picture, as TensorBoard shows them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0})
    events.Reload()
    tags = events.Tags()
    return (
        {tag: [event.step for event in events.Scalars(tag)] for tag in tags["scalars"]},
        {tag: [event.step for event in events.Images(tag)] for tag in tags["images"]},
    )


@needs_tensorboard
def test_tensorboard_of_a_run_that_goes_on(tiny: Make, tmp_path: Path) -> None:
    first = Trainer(tiny(steps=3, tensorboard=True))
    first.draw_panels = lambda: [("scene", PICTURE)]
    first.fit()
    again = tiny(steps=4, tensorboard=True, resume=str(first.out / "previous.pt"))  # of step 2
    again.run.out = str(first.out)
    second = Trainer(again)
    second.draw_panels = first.draw_panels
    second.fit()
    numbers, pictures = read_events(first.out / "tensorboard")
    for name in ("total", "loss/depth", "sigma/depth", "weight/depth", "lr", "data_wait"):
        assert numbers[f"train/{name}"] == [1, 2, 3, 4]
    assert numbers["val/semantic/miou"] == [2, 4]
    assert pictures["panels/scene"] == [2, 4]


@needs_tensorboard
def test_steps_behind_the_checkpoint_are_forgotten(tmp_path: Path) -> None:
    for done in (0, 2):
        board = TensorBoardLog(tmp_path, done)
        for step in range(done + 1, done + 4):
            board.write(step, "train", {"total": float(step)})
        board.close()
    assert read_events(tmp_path)[0]["train/total"] == [1, 2, 3, 4, 5]


def test_tensorboard_setting(tiny: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    for value in (True, False, "auto"):
        assert from_dict(to_dict(tiny(tensorboard=value))).run.tensorboard == value
    with pytest.raises(ValueError, match="tensorboard"):
        from_dict({**to_dict(tiny()), "run": {"tensorboard": "perhaps"}})
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert not wants_tensorboard("auto")
    assert not wants_tensorboard(False)
    with pytest.raises(ImportError, match=r"run\.tensorboard.*pip install"):
        wants_tensorboard(True)
