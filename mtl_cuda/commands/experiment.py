"""`mtl-cuda experiment`: the paper's experiments, from runs to a page with a table and a figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mtl_cuda.data.io import write_bytes
from mtl_cuda.engine.config import TrainConfig, to_yaml
from mtl_cuda.experiments import EXPERIMENTS, Experiment, Summary
from mtl_cuda.experiments.figure import save_figure
from mtl_cuda.experiments.runner import Conclusion, run_stages


def run_experiment(
    name: str,
    config: TrainConfig,
    out: Path,
    seeds: int | None = None,
    jobs: int = 1,
    reuse: Sequence[Path] = (),
) -> int:
    """Train what is missing of an experiment, and write what was found.

    Writes OUT/runs/VARIANT/seedN (one training each, with log.txt), and OUT/NAME.md (findings,
    table, figure, configuration), NAME.csv (the table), NAME.svg and NAME.png.

    Args:
        name: of the experiment.
        config: that its variants change.
        out: its folder; runs that are finished there are not trained again.
        seeds: runs per variant; None is what the experiment has by default.
        jobs: runs at a time.
        reuse: folders of other experiments that may have trained some of the runs.

    Returns:
        0; 2 where runs failed; 130 or 143 where Ctrl-C or SIGTERM stopped it.

    Raises:
        ValueError, FileNotFoundError: see `run_stages`.
    """
    experiment = EXPERIMENTS[name]
    seeds = experiment.seeds if seeds is None else seeds
    conclusion = run_stages(experiment, config, out, seeds, jobs, reuse=reuse)
    if conclusion.stopped_by is not None:
        print(
            f"stopped by {conclusion.stopped_by.name}; the same command goes on from here: "
            "finished runs are skipped, interrupted ones go on from their checkpoints"
        )
    if any(conclusion.results.records(variant) for variant in conclusion.results.variants):
        _write(experiment, conclusion, out)
    for failure in conclusion.failures:
        print(f"FAILED {failure.run.name}: {failure.error}")
    return conclusion.exit_code


def _write(experiment: Experiment, conclusion: Conclusion, out: Path) -> None:
    """The table, the page and the figure, and what was found on the terminal."""
    summary = experiment.summarise(conclusion.results)
    stem = out / experiment.name
    page = stem.with_suffix(".md")
    # The numbers first: they are there even where the drawing fails.
    write_bytes(stem.with_suffix(".csv"), summary.table.csv().encode())
    write_bytes(page, _page(experiment, conclusion, summary, []).encode())
    print("\n".join(["", *summary.findings, "", summary.table.markdown(), ""]))
    print(f"written: {page.resolve()}")
    try:
        figures = save_figure(summary, stem)
    except ImportError as error:
        print(error)
    else:
        write_bytes(page, _page(experiment, conclusion, summary, figures).encode())


def _page(
    experiment: Experiment, conclusion: Conclusion, summary: Summary, figures: Sequence[Path]
) -> str:
    results = conclusion.results
    counts = [len(results.records(variant)) for variant in results.variants]
    missing = [
        f"{variant.label} (no run)"
        for variant in results.variants.values()
        if not results.records(variant.name)
    ]
    state = f"{sum(counts)} finished runs of {len(counts)} variants."
    if conclusion.failures:
        state += f" FAILED: {', '.join(outcome.run.name for outcome in conclusion.failures)}."
    if conclusion.stopped_by is not None:
        state += " Stopped before its end."
    if missing:
        state += f" Missing: {', '.join(missing)}."
    parts = [
        f"# {experiment.title}",
        state,
        "\n".join(f"- {finding}" for finding in summary.findings),
        summary.table.markdown(),
        *(f"![{experiment.title}]({path.name})" for path in figures if path.suffix == ".png"),
        "\n\n".join(summary.notes),
        f"Configuration, which the variants change:\n\n```yaml\n{to_yaml(results.config)}```",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"
