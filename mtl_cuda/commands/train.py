"""`mtl-cuda train`: a training run and its report."""

from __future__ import annotations

from collections.abc import Sequence

from mtl_cuda.commands.report import format_metrics, validation_panels, write_run_report
from mtl_cuda.engine.config import TrainConfig
from mtl_cuda.engine.train import Trainer, TrainResult
from mtl_cuda.report import metric_rows


def run_training(config: TrainConfig) -> int:
    """Train as configured and write the report; returns the exit code: see `TrainResult`."""
    return train_and_report(config, title=f"Training on {config.data.name}").exit_code


def train_and_report(config: TrainConfig, *, title: str, notes: Sequence[str] = ()) -> TrainResult:
    """Train, print the metrics and write the report; that of a stopped run has no pictures."""
    trainer = Trainer(config)
    weights = sum(parameter.numel() for parameter in trainer.network.parameters())
    print(
        f"training on {len(trainer.train_source)} scenes, validating on {len(trainer.val_source)}; "
        f"tasks: {', '.join(trainer.criterion.tasks)}; {weights / 1e6:.2f} M weights on "
        f"{trainer.device}"
    )
    if trainer.resumed is not None:
        print(f"going on from step {trainer.step} of {trainer.steps}: {trainer.resumed}")
    trainer.draw_panels = lambda: validation_panels(trainer)
    result = trainer.fit()
    if result.stopped_by is not None:
        print(
            f"stopped by {result.stopped_by.name} after {result.steps} steps; to go on from there: "
            f"mtl-cuda train --config {trainer.out / 'config.yaml'} --resume auto"
        )
        if trainer.folder.metrics.exists():  # training had begun
            # A scheduler may kill soon: pictures, which need the network, are left out.
            stopped = f"Stopped by {result.stopped_by.name}: this is how far the run has come."
            write_run_report(trainer, result, title=title, notes=[stopped, *notes], panels=[])
        return result
    rows = metric_rows(result.metrics, result.baseline, trainer.info.depth_unit)
    print(f"{result.steps} steps in {result.seconds:.0f} s\n\n{format_metrics(rows)}\n")
    panels = validation_panels(trainer)
    report = write_run_report(trainer, result, title=title, notes=notes, panels=panels)
    print(f"report:     {report.resolve()}\ncheckpoint: {trainer.folder.last.resolve()}")
    return result
