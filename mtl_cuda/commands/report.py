"""The page and the table that end a run."""

from __future__ import annotations

import math
import platform
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

import mtl_cuda
from mtl_cuda.data import SceneSamples, denormalise, write_png
from mtl_cuda.engine.config import to_yaml
from mtl_cuda.engine.loading import evaluation_samples, spread
from mtl_cuda.engine.runlog import Panels, read_confusion
from mtl_cuda.engine.segments import has_segments
from mtl_cuda.engine.train import Trainer, TrainResult
from mtl_cuda.inference.scene import predict_image
from mtl_cuda.report import (
    MetricRow,
    ReportData,
    metric_rows,
    read_metrics_csv,
    summarise,
    write_report,
)
from mtl_cuda.visualise import panel


def write_run_report(
    trainer: Trainer,
    result: TrainResult,
    *,
    title: str,
    panels: Panels,
    notes: Sequence[str] = (),
) -> Path:
    """Write report.html into the run's folder, and the panels it shows into panels/.

    Args:
        trainer: with the weights that `result` is about.
        result: of its training.
        title: heading of the page.
        panels: see `validation_panels`.
        notes: paragraphs below the metrics.
    """
    info, out = trainer.info, trainer.out
    if panels:
        (out / "panels").mkdir(exist_ok=True)
    for name, picture in panels:
        write_png(out / "panels" / f"{name}.png", picture)
    rows = metric_rows(result.metrics, result.baseline, info.depth_unit)
    prefix = "semantic/iou/"
    report = ReportData(
        title=title,
        headline=summarise(rows),
        metrics=rows,
        train=read_metrics_csv(out / "metrics.csv", "train"),
        validation=read_metrics_csv(out / "metrics.csv", "val"),
        depth_unit=info.depth_unit,
        class_iou={
            key.removeprefix(prefix): value
            for key, value in result.metrics.items()
            if key.startswith(prefix)
        },
        class_colours=dict(zip(info.class_names, info.palette)),
        confusion=read_confusion(out / "confusion.csv"),
        panels=panels,
        configuration=to_yaml(trainer.config),
        environment=_environment(trainer.device),
        notes=[_how_long(trainer, result), *notes],
    )
    path = out / "report.html"
    write_report(path, report)
    return path


def format_metrics(rows: Sequence[MetricRow]) -> str:
    """A table of each metric beside that of the constant prediction; "-" where it is unknown."""

    def number(value: float) -> str:
        return f"{'-' if math.isnan(value) else format(value, '.4g'):>12}"

    width = max(len(row.label) for row in rows)
    lines = [f"{'':{width}}  {'network':>12}  {'constant':>12}"]
    lines += [
        f"{row.label:{width}}  {number(row.value)}  {number(row.baseline)}  {row.unit}"
        for row in rows
    ]
    return "\n".join(lines)


def validation_panels(trainer: Trainer) -> Panels:
    """Pictures of `run.panels` validation scenes: the image, the predictions, the truth."""
    samples = evaluation_samples(trainer.val_source)
    chosen = spread(len(samples), trainer.config.run.panels)
    network = trainer.learner.predictor
    was_training = network.training
    network.eval()
    try:
        return [_sample_panel(trainer, samples, index) for index in chosen]
    finally:
        network.train(was_training)


def _sample_panel(
    trainer: Trainer, samples: SceneSamples, index: int
) -> tuple[str, npt.NDArray[np.uint8]]:
    sample = samples[index]
    image = denormalise(sample["image"])
    info, tasks = trainer.info, trainer.criterion.tasks
    instances = trainer.config.instances if has_segments(info, tasks) else None
    maps = predict_image(trainer.learner.predictor, image, info, None, trainer.device, instances)
    targets = {task: sample[task].numpy() for task in tasks}
    return sample["name"], panel(image, maps, info, targets)


def _how_long(trainer: Trainer, result: TrainResult) -> str:
    batch = trainer.config.data.batch_size * trainer.config.optim.accumulate
    return (
        f"Trained for {result.steps} steps of {batch} scenes in {result.seconds:.0f} s "
        f"(evaluations included) on {len(trainer.train_source)} scenes; measured on "
        f"{len(trainer.val_source)} others, of which the panels show some. The constant prediction "
        "is the best one that looks at training labels alone: the commonest class, the median "
        "vector, the median depth."
    )


def _environment(device: torch.device) -> dict[str, str]:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor()
    return {
        "mtl_cuda": mtl_cuda.__version__,
        "torch": torch.__version__,
        "Python": platform.python_version(),
        "system": platform.platform(),
        "device": f"{device} {name}".strip(),
        "threads": str(torch.get_num_threads()),
    }
