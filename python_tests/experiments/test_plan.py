from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from written_runs import written_results

from mtl_cuda.engine.config import TrainConfig
from mtl_cuda.experiments import EXPERIMENTS
from mtl_cuda.experiments.plan import Variant, configured, plan_runs
from mtl_cuda.experiments.results import Results
from mtl_cuda.experiments.table1 import best_point, ratios

Tiny = Callable[..., TrainConfig]


def test_every_seed_of_every_variant_has_its_folder(tiny: Tiny, tmp_path: Path) -> None:
    changes = {"loss": {"weighting": "equal"}, "optim": {"learning_rate": 0.5}}
    variants = [Variant("a", "A"), Variant("b", "B", changes), Variant("c", "C", seeds=1)]
    runs = plan_runs(tiny(seed=7), variants, 2, tmp_path)
    assert [run.name for run in runs] == ["a/seed7", "b/seed7", "c/seed7", "a/seed8", "b/seed8"]
    assert runs[3].folder == tmp_path / "runs" / "a" / "seed8"
    assert [run.config.run.seed for run in runs] == [7, 7, 7, 8, 8]
    assert all(run.config.run.resume == "auto" for run in runs)
    assert runs[1].config.loss.weighting == "equal"
    assert runs[1].config.optim.learning_rate == 0.5
    assert runs[1].config.optim.clip_norm == 5.0
    assert runs[0].config.loss.weighting == "uncertainty"


def test_mistakes_in_variants_are_told(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="different names"):
        plan_runs(tiny(), [Variant("a", "A"), Variant("a", "B")], 1, tmp_path)
    with pytest.raises(TypeError, match="wheight"):
        configured(tiny(), {"loss": {"wheight": 1}})
    with pytest.raises(ValueError, match="learning_rate"):
        configured(tiny(), {"optim": {"learning_rate": -1.0}})


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_first_stages_have_valid_configurations(name: str, tiny: Tiny, tmp_path: Path) -> None:
    experiment = EXPERIMENTS[name]
    config = experiment.prepare(tiny())
    runs = plan_runs(config, experiment.stages[0](config, Results(config)), 1, tmp_path)
    assert {"table1": 11, "sweep": 3, "sigma": 16, "likelihoods": 4, "weightings": 8}[name] == len(
        runs
    )
    for stage in experiment.stages[1:]:  # which need results
        assert stage(config, Results(config)) == []


def test_table1_has_the_papers_rows(tiny: Tiny) -> None:
    config = tiny()
    rows = {
        v.name: v.changes["loss"] for v in EXPERIMENTS["table1"].stages[0](config, Results(config))
    }
    assert rows["equal"]["weighting"] == pytest.approx(
        {"semantic": 1 / 3, "instance": 1 / 3, "depth": 1 / 3}
    )
    assert rows["single-depth"]["tasks"] == ("depth",)
    assert rows["learned-instance-depth"]["tasks"] == ("instance", "depth")
    assert rows["learned"]["weighting"] == "uncertainty"
    assert all(
        "optim" not in v.changes for v in EXPERIMENTS["table1"].stages[0](config, Results(config))
    )


def test_table1_searches_ratios_of_two_sizes() -> None:
    found = ratios(3)
    assert len(found) == len(set(found)) == 13
    assert (1, 1, 1) in found
    assert (9, 1, 9) in found
    assert (9, 3, 1) not in found


def test_table1_chooses_by_the_first_seed_alone(tiny: Tiny, tmp_path: Path) -> None:
    """Else a second seed would choose other weights for the runs that are there."""
    finals = {
        "single-semantic": {"semantic/miou": [0.3, 0.3]},
        "single-instance": {"instance/mean_error": [5.0, 5.0]},
        "single-depth": {"depth/mean_error": [1.0, 0.5]},
        "search-1-1-3": {"depth/mean_error": [0.8, 0.8]},  # better by 20 %; worse than the mean
        "search-1-3-1": {"instance/mean_error": [4.5, 4.5]},  # better by 10 %
    }
    assert best_point(written_results(tiny(), tmp_path, finals)) == "search-1-1-3"


def test_sweep_takes_two_tasks(tiny: Tiny) -> None:
    sweep = EXPERIMENTS["sweep"]
    assert sweep.prepare(tiny()).loss.tasks == ("semantic", "depth")
    pair = configured(tiny(), {"loss": {"tasks": ("instance", "depth")}})
    assert sweep.prepare(pair).loss.tasks == ("instance", "depth")
    alone = configured(tiny(), {"loss": {"tasks": ("depth",)}})
    with pytest.raises(ValueError, match="sweep needs two tasks"):
        sweep.prepare(alone)
    with pytest.raises(ValueError, match="table1 needs all of semantic"):
        EXPERIMENTS["table1"].prepare(pair)
