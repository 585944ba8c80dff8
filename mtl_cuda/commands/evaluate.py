"""`mtl-cuda evaluate`: the metrics of a checkpoint, and results for the official scripts."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtl_cuda.commands.report import format_metrics
from mtl_cuda.data import SceneSource
from mtl_cuda.data.io import write_bytes
from mtl_cuda.engine.build import open_source, pick_device
from mtl_cuda.engine.evaluate import constant_prediction, evaluate, evaluate_constant
from mtl_cuda.engine.loading import evaluation_batches
from mtl_cuda.inference.cityscapes_results import ResultWriter, evaluate_files
from mtl_cuda.inference.restore import Restored, restore
from mtl_cuda.report import metric_rows


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
    restored = restore(checkpoint, pick_device(device), instances, root)
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
