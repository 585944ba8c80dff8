"""What the commands do, behind their arguments: they compose the engine and print what happens."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from mtl_cuda.data.synth import write_dataset
from mtl_cuda.engine.build import open_source, pick_device
from mtl_cuda.engine.config import TrainConfig
from mtl_cuda.engine.evaluate import constant_prediction, evaluate, evaluate_constant
from mtl_cuda.engine.loading import evaluation_batches
from mtl_cuda.engine.predict import find_images, predict_files
from mtl_cuda.engine.reporting import format_metrics, write_run_report
from mtl_cuda.engine.restore import restore
from mtl_cuda.engine.train import Trainer, TrainResult
from mtl_cuda.report import metric_rows


def run_training(config: TrainConfig) -> bool:
    """Train as configured and write the report; False where Ctrl-C stopped it."""
    return train_and_report(config, title=f"Training on {config.data.name}") is not None


def train_and_report(
    config: TrainConfig, *, title: str, notes: Sequence[str] = ()
) -> TrainResult | None:
    """Train, print the metrics, write the report; None where Ctrl-C stopped the training."""
    trainer = Trainer(config)
    weights = sum(parameter.numel() for parameter in trainer.network.parameters())
    print(
        f"training on {len(trainer.train_source)} scenes, validating on {len(trainer.val_source)}; "
        f"tasks: {', '.join(trainer.criterion.tasks)}; {weights / 1e6:.2f} M weights on "
        f"{trainer.device}"
    )
    result = trainer.fit()
    if result.interrupted:
        print(f"stopped after {result.steps} steps; the weights are in {trainer.out / 'last.pt'}")
        return None
    rows = metric_rows(result.metrics, result.baseline, trainer.info.depth_unit)
    print(f"{result.steps} steps in {result.seconds:.0f} s\n\n{format_metrics(rows)}\n")
    report = write_run_report(trainer, result, title=title, notes=notes)
    print(f"report:     {report.resolve()}\ncheckpoint: {(trainer.out / 'last.pt').resolve()}")
    return result


def run_evaluation(checkpoint: Path, root: str | None, split: str | None, device: str) -> None:
    """Print the metrics of a checkpoint's network beside those of a constant prediction.

    Args:
        checkpoint: file of a training run.
        root: folder of the data set; None is the one of the training.
        split: to measure on; None is the validation split of the training.
        device: name, see `pick_device`.
    """
    target = pick_device(device)
    restored = restore(checkpoint, target)
    data = dataclasses.replace(restored.config.data, root=root or restored.config.data.root)
    config = dataclasses.replace(restored.config, data=data)
    source = open_source(config, split or data.val_split)
    batches = evaluation_batches(source, data)
    metrics = evaluate(restored.network, batches, source.info, restored.tasks, target)
    try:
        training = evaluation_batches(
            open_source(config, data.train_split), data, config.run.baseline_scenes
        )
    except FileNotFoundError:  # someone else's images, without the split that we learned from
        baseline = dict.fromkeys(metrics, math.nan)
    else:
        constants = constant_prediction(training, source.info, restored.tasks)
        baseline = evaluate_constant(constants, batches, source.info, restored.tasks)
    print(f"step {restored.step}, {len(source)} scenes of {data.root}/{split or data.val_split}")
    print(format_metrics(metric_rows(metrics, baseline, source.info.depth_unit)))


def run_prediction(
    checkpoint: Path, images: Sequence[Path], out: Path, size: tuple[int, int] | None, device: str
) -> None:
    """Predict images and folders of images into `out`: see `predict_files`."""
    target = pick_device(device)
    restored = restore(checkpoint, target)
    files = find_images(images)
    written = predict_files(restored, files, out, size, target)
    for _ in tqdm(written, total=len(files), unit="image", disable=None, leave=False):
        pass
    print(f"{len(files)} images: {out.resolve()}")


def run_synth(
    out: Path,
    train: int,
    val: int,
    size: tuple[int, int],
    seed: int,
    workers: int,
    overwrite: bool = False,
) -> None:
    """Generate scenes with a progress bar: see `mtl_cuda.data.synth.write_dataset`."""
    start = time.monotonic()
    with tqdm(total=train + val, unit="scene", disable=None, leave=False) as bar:
        write_dataset(
            out,
            train,
            val,
            size,
            seed,
            workers,
            lambda done, _: bar.update(done - bar.n),
            overwrite=overwrite,
        )
    print(f"{train} + {val} scenes in {time.monotonic() - start:.0f} s: {out.resolve()}")
