"""Runs of experiments that were never trained: their metrics.csv, written by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mtl_cuda.engine.config import TrainConfig, to_yaml
from mtl_cuda.experiments.plan import Run, Variant, plan_runs
from mtl_cuda.experiments.results import Results

Values = Mapping[str, Sequence[float]]


def write_run(run: Run, validation: Values, train: Values | None = None) -> None:
    """Leave the folder of a run; each column has one value per row, the last at the last step."""
    run.folder.mkdir(parents=True, exist_ok=True)
    (run.folder / "config.yaml").write_text(to_yaml(run.config))
    columns = sorted({*validation, *(train or {})})
    lines = [",".join(["step", "split", *columns])]
    for split, values in (("train", train or {}), ("val", validation)):
        rows = len(next(iter(values.values()))) if values else 0
        for row in range(rows):
            step = run.config.run.steps * (row + 1) // rows
            cells = [str(values[name][row]) if name in values else "" for name in columns]
            lines.append(",".join([str(step), split, *cells]))
    (run.folder / "metrics.csv").write_text("\n".join(lines) + "\n")


def written_results(
    config: TrainConfig, out: Path, finals: Mapping[str, Mapping[str, Sequence[float]]]
) -> Results:
    """Results of variants by name, with the last value of each metric for every seed."""
    seeds = max(len(values) for metrics in finals.values() for values in metrics.values())
    variants = [Variant(name, f"<{name}>") for name in finals]
    runs = plan_runs(config, variants, seeds, out)
    for run in runs:
        metrics = finals[run.variant.name]
        write_run(run, {key: [values[run.seed]] for key, values in metrics.items()})
    results = Results(config, out)
    results.add(runs)
    return results
