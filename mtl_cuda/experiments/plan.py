"""From the variants of a configuration to the training runs of an experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mtl_cuda.engine.config import TrainConfig

Changes = Mapping[str, Mapping[str, Any]]
"""New values by section and field of a `TrainConfig`, as {"loss": {"weighting": "equal"}}."""


@dataclass(frozen=True)
class Variant:
    """One way to train.

    Attributes:
        name: of its folder, unique within the experiment.
        label: for people.
        changes: to the experiment's configuration.
        seeds: how many runs; None is as many as the experiment has.
    """

    name: str
    label: str
    changes: Changes = field(default_factory=dict)
    seeds: int | None = None


@dataclass(frozen=True)
class Run:
    """One training of a variant: its seed, and the configuration with the folder it goes to."""

    variant: Variant
    seed: int
    config: TrainConfig

    @property
    def name(self) -> str:
        """Of the run within its experiment."""
        return f"{self.variant.name}/seed{self.seed}"

    @property
    def folder(self) -> Path:
        """Where the run writes."""
        return Path(self.config.run.out)


def configured(config: TrainConfig, changes: Changes) -> TrainConfig:
    """The configuration with `changes`.

    Raises:
        TypeError: there is no such field.
        ValueError: a value that no run can use; names the key.
    """
    sections = {key: replace(getattr(config, key), **values) for key, values in changes.items()}
    return replace(config, **sections)


def plan_runs(config: TrainConfig, variants: Sequence[Variant], seeds: int, out: Path) -> list[Run]:
    """Every run of `variants`: seeds config.run.seed, +1, ..., in folders OUT/runs/VARIANT/seedN.

    Runs of one seed come together, so that an experiment that is stopped has whole rows. A run that
    was interrupted goes on from its checkpoint.

    Raises:
        ValueError: two variants of one name, or a value that no run can use.
    """
    names = [variant.name for variant in variants]
    if len(set(names)) != len(names):
        raise ValueError(f"variants: expected different names, got {names}")
    runs = []
    for number in range(seeds):
        seed = config.run.seed + number
        for variant in variants:
            if variant.seeds is None or number < variant.seeds:
                changed = configured(config, variant.changes)
                place = out / "runs" / variant.name / f"seed{seed}"
                where = {"out": str(place), "seed": seed, "resume": "auto", "overwrite": False}
                runs.append(Run(variant, seed, configured(changed, {"run": where})))
    return runs
