"""Runs that another experiment has trained already."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mtl_cuda.experiments.plan import Run
from mtl_cuda.experiments.pool import LOG
from mtl_cuda.experiments.results import CONFIG, METRICS, differences, read_record

_KEPT = (METRICS, CONFIG, LOG)  # the weights stay where they are


def reuse_runs(runs: Sequence[Run], experiments: Sequence[Path]) -> list[Run]:
    """Copy what is known of finished runs with the same configuration and seed.

    Args:
        runs: that are wanted; those whose folder exists are left alone.
        experiments: folders of other experiments; the first that has a run gives it.

    Returns:
        The runs that need not be trained.

    Raises:
        FileNotFoundError: one of the folders has no runs.
        ValueError: a file in them cannot be read.
    """
    for folder in experiments:
        if not (folder / "runs").is_dir():
            raise FileNotFoundError(f"--reuse: {folder} holds no runs of an experiment")
    found = []
    for run in runs:
        there = None if run.folder.exists() else _find(run, experiments)
        if there is not None:
            _copy(there, run.folder)
            found.append(run)
    return found


def _find(run: Run, experiments: Sequence[Path]) -> Path | None:
    for experiment in experiments:
        for folder in sorted(experiment.glob(f"runs/*/seed{run.seed}")):
            if not (folder / CONFIG).is_file():  # a run that broke before it began
                continue
            there = replace(run.config.run, out=str(folder))
            candidate = replace(run, config=replace(run.config, run=there))
            if not differences(folder / CONFIG, run.config) and read_record(candidate) is not None:
                return folder
    return None


def _copy(source: Path, target: Path) -> None:
    """The folder appears whole. Its config.yaml goes on saying where the run was trained."""
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    temporary.mkdir(parents=True)
    try:
        for name in _KEPT:
            if (source / name).exists():
                shutil.copyfile(source / name, temporary / name)
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
