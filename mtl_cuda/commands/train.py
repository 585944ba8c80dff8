"""`mtl-cuda train`: a training run and its report."""

from __future__ import annotations

from collections.abc import Sequence

from mtl_cuda.commands.report import format_metrics, validation_panels, write_run_report
from mtl_cuda.engine.config import TrainConfig
from mtl_cuda.engine.distributed import ALONE, Ranks, joined_ranks
from mtl_cuda.engine.train import Trainer, TrainResult
from mtl_cuda.report import metric_rows


def run_training(config: TrainConfig) -> int:
    """Train as configured and write the report; returns the exit code: see `TrainResult`.

    As one of several processes where torchrun has started it.
    """
    with joined_ranks(config.run.device, config.run.rank_timeout) as ranks:
        title = f"Training on {config.data.name}"
        return train_and_report(config, title=title, ranks=ranks).exit_code


def train_and_report(
    config: TrainConfig, *, title: str, notes: Sequence[str] = (), ranks: Ranks = ALONE
) -> TrainResult:
    """Train, print the metrics and write the report; that of a stopped run has no pictures.

    Of several processes the main one prints and writes.
    """
    trainer = Trainer(config, ranks)
    if not ranks.is_main:
        return trainer.fit()
    _announce(trainer)
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


def _announce(trainer: Trainer) -> None:
    weights = sum(parameter.numel() for parameter in trainer.network.parameters())
    together = f"{trainer.ranks.count} processes, " if trainer.ranks.count > 1 else ""
    print(
        f"training on {len(trainer.train_source)} scenes, validating on {len(trainer.val_source)}; "
        f"tasks: {', '.join(trainer.criterion.tasks)}; {weights / 1e6:.2f} M weights on "
        f"{together}{trainer.device}"
    )
    if trainer.resumed is not None:
        print(f"going on from step {trainer.step} of {trainer.steps}: {trainer.resumed}")
