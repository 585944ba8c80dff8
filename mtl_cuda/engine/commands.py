"""What the commands do, behind their arguments: they compose the engine and print what happens."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mtl_cuda.data import SceneSource
from mtl_cuda.data.io import write_bytes
from mtl_cuda.data.synth import write_dataset
from mtl_cuda.engine.build import open_source, pick_device
from mtl_cuda.engine.config import TrainConfig
from mtl_cuda.engine.evaluate import constant_prediction, evaluate, evaluate_constant
from mtl_cuda.engine.export import ResultWriter, evaluate_files
from mtl_cuda.engine.loading import evaluation_batches
from mtl_cuda.engine.predict import find_images, predict_files
from mtl_cuda.engine.reporting import format_metrics, write_run_report
from mtl_cuda.engine.restore import Restored, restore
from mtl_cuda.engine.train import Trainer, TrainResult
from mtl_cuda.report import metric_rows


def run_training(config: TrainConfig) -> int:
    """Train as configured and write the report; returns the exit code: see `TrainResult`."""
    return train_and_report(config, title=f"Training on {config.data.name}").exit_code


def train_and_report(config: TrainConfig, *, title: str, notes: Sequence[str] = ()) -> TrainResult:
    """Train, print the metrics and write the report, unless the training was stopped."""
    trainer = Trainer(config)
    weights = sum(parameter.numel() for parameter in trainer.network.parameters())
    print(
        f"training on {len(trainer.train_source)} scenes, validating on {len(trainer.val_source)}; "
        f"tasks: {', '.join(trainer.criterion.tasks)}; {weights / 1e6:.2f} M weights on "
        f"{trainer.device}"
    )
    if trainer.resumed is not None:
        print(f"going on from step {trainer.step} of {trainer.steps}: {trainer.resumed}")
    result = trainer.fit()
    if result.stopped_by is not None:
        print(
            f"stopped by {result.stopped_by.name} after {result.steps} steps; to go on from there: "
            f"mtl-cuda train --config {trainer.out / 'config.yaml'} --resume auto"
        )
        return result
    rows = metric_rows(result.metrics, result.baseline, trainer.info.depth_unit)
    print(f"{result.steps} steps in {result.seconds:.0f} s\n\n{format_metrics(rows)}\n")
    report = write_run_report(trainer, result, title=title, notes=notes)
    print(f"report:     {report.resolve()}\ncheckpoint: {trainer.folder.last.resolve()}")
    return result


def run_evaluation(
    checkpoint: Path,
    root: str | None,
    split: str | None,
    device: str,
    export: Path | None = None,
    table: Path | None = None,
    instances: Mapping[str, Any] | None = None,
) -> None:
    """Print the metrics of a checkpoint's network beside those of a constant prediction.

    Args:
        checkpoint: file of a training run.
        root: folder of the data set; None is the one of the training.
        split: to measure on; None is the validation split of the training.
        device: name, see `pick_device`.
        export: folder to make, with the results in the formats of Cityscapes. Metrics are then
            measured at the size of the label files, as the official scripts do, whatever size the
            network sees.
        table: JSON file to write the metrics to; those without a value are null.
        instances: fields of `InstanceConfig` that replace those of the training.

    Raises:
        FileExistsError: `export` holds something.
        ValueError: `export` of a data set that is not laid out like Cityscapes.
    """
    restored = _restore(checkpoint, device, instances, root)
    data, info = restored.config.data, restored.info
    split = split or data.val_split
    if export is not None and data.name != "cityscapes":
        raise ValueError(f"--export writes the formats of Cityscapes, and {data.name} has others")
    writer = None if export is None else ResultWriter(export, split, info)
    source = open_source(restored.config, split, resized=writer is None)
    if writer is None:
        batches = evaluation_batches(source, data)
        network, target = restored.network, restored.device
        metrics = evaluate(network, batches, info, restored.tasks, target, restored.instances)
    else:
        with writer:
            metrics = evaluate_files(restored, source, writer)
    baseline = _constant_metrics(restored, source, resized=writer is None)
    print(f"step {restored.step}, {len(source)} scenes of {data.root}/{split}")
    print(format_metrics(metric_rows(metrics, baseline, info.depth_unit)))
    if table is not None:
        table.parent.mkdir(parents=True, exist_ok=True)
        where = {"checkpoint": str(checkpoint), "step": restored.step, "scenes": len(source)}
        content = {**where, "data": data.root, "split": split, **_numbers(metrics, baseline)}
        write_bytes(table, json.dumps(content, indent=1).encode() + b"\n")
    if writer is not None:
        print(f"results: {writer.out}")


def _constant_metrics(restored: Restored, source: SceneSource, resized: bool) -> dict[str, float]:
    config, tasks = restored.config, restored.tasks
    # At the size of their files, scenes may differ in size.
    data = config.data if resized else dataclasses.replace(config.data, eval_batch_size=1)
    try:
        training = open_source(config, data.train_split, resized=resized)
    except FileNotFoundError:  # someone else's images, without the split that we learned from
        return {}
    scenes = evaluation_batches(training, data, config.run.baseline_scenes)
    constants = constant_prediction(scenes, source.info, tasks)
    return evaluate_constant(constants, evaluation_batches(source, data), source.info, tasks)


def _numbers(metrics: Mapping[str, float], baseline: Mapping[str, float]) -> dict[str, Any]:
    """Both for a JSON file, which knows no NaN."""
    return {
        name: {key: None if math.isnan(value) else value for key, value in values.items()}
        for name, values in (("metrics", metrics), ("constant", baseline))
    }


def run_prediction(
    checkpoint: Path,
    images: Sequence[Path],
    out: Path,
    size: tuple[int, int] | None,
    device: str,
    instances: Mapping[str, Any] | None = None,
) -> None:
    """Predict images and folders of images into `out`: see `predict_files`."""
    restored = _restore(checkpoint, device, instances)
    files = find_images(images)
    written = predict_files(restored, files, out, size)
    for _ in tqdm(written, total=len(files), unit="image", disable=None, leave=False):
        pass
    print(f"{len(files)} images: {out.resolve()}")


def _restore(
    checkpoint: Path, device: str, instances: Mapping[str, Any] | None, root: str | None = None
) -> Restored:
    """Restore a checkpoint, with another data folder and other options for instances."""
    restored = restore(checkpoint, pick_device(device))
    config = restored.config
    config = dataclasses.replace(
        config,
        data=dataclasses.replace(config.data, root=root or config.data.root),
        instances=dataclasses.replace(config.instances, **(instances or {})),
    )
    return dataclasses.replace(restored, config=config)


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
