from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from written_runs import write_run, written_results

from mtl_cuda.engine.config import TrainConfig
from mtl_cuda.experiments.measures import mean_gain, measures
from mtl_cuda.experiments.plan import Run, Variant, configured, plan_runs
from mtl_cuda.experiments.results import Results, check_same_config, read_record
from mtl_cuda.experiments.shares import final_losses, fixed_weights, reached_shares, single
from mtl_cuda.experiments.statistics import Sample
from mtl_cuda.experiments.table import Column, Table

Tiny = Callable[..., TrainConfig]


def _runs(config: TrainConfig, out: Path, seeds: int = 1) -> list[Run]:
    return plan_runs(config, [Variant("a", "A")], seeds, out)


def test_only_a_run_that_reached_its_last_step_counts(tiny: Tiny, tmp_path: Path) -> None:
    (run,) = _runs(tiny(steps=8), tmp_path)
    assert read_record(run) is None
    write_run(run, {"semantic/miou": [0.1, 0.2]})
    record = read_record(run)
    assert record is not None
    assert record.final("semantic/miou") == 0.2
    assert math.isnan(record.final("depth/mean_error"))
    text = (run.folder / "metrics.csv").read_text()
    (run.folder / "metrics.csv").write_text(text.replace("8,val", "7,val"))
    assert read_record(run) is None
    (run.folder / "metrics.csv").write_text(text[:-2])  # the last row is cut off: 0. for 0.2
    assert read_record(run) is None


def test_records_of_another_configuration_are_refused(tiny: Tiny, tmp_path: Path) -> None:
    (run,) = _runs(tiny(), tmp_path)
    write_run(run, {"semantic/miou": [0.1]})
    check_same_config(run)
    (elsewhere,) = _runs(
        configured(tiny(), {"data": {"workers": 1}, "run": {"tensorboard": False}}), tmp_path
    )
    check_same_config(elsewhere)
    (other,) = _runs(tiny(steps=4), tmp_path)
    with pytest.raises(ValueError, match=r"run\.steps was 3 and is 4"):
        check_same_config(other)
    (run.folder / "config.yaml").write_text("data: [")
    with pytest.raises(ValueError, match="cannot be read"):
        check_same_config(run)


def test_curves_are_means_at_common_steps(tiny: Tiny, tmp_path: Path) -> None:
    runs = _runs(tiny(steps=4), tmp_path, seeds=2)
    write_run(runs[0], {"semantic/miou": [0.1, 0.3]}, {"sigma/depth": [1.0, 2.0, 3.0, 4.0]})
    write_run(runs[1], {"semantic/miou": [0.1, 0.2, 0.2, 0.5]}, {"sigma/depth": [3.0] * 4})
    results = Results(tiny(steps=4))
    results.add(runs)
    assert results.curve("a", "semantic/miou") == ([2, 4], pytest.approx([0.15, 0.4]))
    assert results.curve("a", "sigma/depth", "train")[1] == [2.0, 2.5, 3.0, 3.5]
    assert results.curve("b", "semantic/miou") == ([], [])
    assert results.late("a", "sigma/depth").values == (4.0, 3.0)
    assert results.records("a")[0].late("sigma/depth", 0.5) == 3.5


def test_units_and_spread(tiny: Tiny, tmp_path: Path) -> None:
    finals = {"a": {"semantic/miou": [0.30, 0.34], "depth/mean_error": [0.011, 0.013]}}
    results = written_results(tiny(), tmp_path, finals)
    semantic, instance, depth = measures(results.config)
    assert semantic.show(semantic.sample(results, "a")) == "32.0 ± 2.8"
    assert instance.show(instance.sample(results, "a")) == "–"
    assert depth.show(depth.sample(results, "a")) == "0.0120 ± 0.0014"
    assert depth.unit == "1/m"
    in_pixels = configured(tiny(), {"data": {"depth": "disparity"}})
    assert [m.unit for m in measures(in_pixels)] == ["%", "px", "px"]


def test_mean_gain_counts_errors_downwards(tiny: Tiny, tmp_path: Path) -> None:
    finals = {
        "semantics": {"semantic/miou": [0.4]},
        "depth": {"depth/mean_error": [2.0]},
        "both": {"semantic/miou": [0.5], "depth/mean_error": [2.2]},
    }
    results = written_results(tiny(), tmp_path, finals)
    references = {"semantic": "semantics", "depth": "depth", "instance": "nothing"}
    gain = mean_gain(results, "both", references, measures(results.config))
    assert gain == pytest.approx((0.25 - 0.1) / 2)
    assert mean_gain(results, "depth", references, measures(results.config)) == 0.0
    assert math.isnan(mean_gain(results, "nothing", references, measures(results.config)))


def test_shares_undo_the_size_of_the_losses(tiny: Tiny, tmp_path: Path) -> None:
    config = configured(tiny(steps=10), {"loss": {"tasks": ("semantic", "depth")}})
    runs = plan_runs(config, [Variant(single(t), t) for t in config.loss.tasks], 2, tmp_path)
    results = Results(config)
    for run, loss in zip(runs, (0.5, 0.02, 9.0, 9.0)):
        task = run.variant.label
        write_run(run, {"semantic/miou": [0.1]}, {f"loss/{task}": [100.0] * 9 + [loss]})
    results.add(runs[1:])
    assert final_losses(config, results) is None
    results.add(runs)
    losses = final_losses(config, results)
    assert losses == {"semantic": 0.5, "depth": 0.02}
    weights = fixed_weights({"semantic": 0.25, "depth": 0.75}, losses)
    assert weights == pytest.approx({"semantic": 0.5, "depth": 37.5})
    (run,) = _runs(config, tmp_path)
    write_run(run, {"semantic/miou": [0.1]}, {f"weight/{t}": [w] for t, w in weights.items()})
    record = read_record(run)
    assert record is not None
    assert reached_shares(record, losses) == pytest.approx({"semantic": 0.25, "depth": 0.75})


def test_tables_for_people_and_programs() -> None:
    columns = [
        Column("", ["a|b", "c"]),
        Column("IoU", [Sample((1.0, 3.0)), Sample(())], lambda sample: f"{sample.mean:.1f}"),
        Column("gain", [0.5, math.nan], lambda cell: f"{cell:+.0%}"),
    ]
    table = Table(columns)
    assert table.markdown().splitlines() == [
        "|  | IoU | gain |",
        "| --- | --- | --- |",
        "| a\\|b | 2.0 | +50% |",
        "| c | – | – |",
    ]
    rows = list(csv.reader(io.StringIO(table.csv())))
    assert rows[0] == ["", "IoU", "IoU, spread", "IoU, runs", "gain"]
    assert rows[1] == ["a|b", "2", "1.41421", "2", "0.5"]
    assert rows[2] == ["c", "", "", "0", ""]
