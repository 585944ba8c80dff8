"""The GPU acceptance run without a GPU: its refusal, its verdicts, its limits, its report."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import gpu_acceptance  # noqa: E402
import gpu_report  # noqa: E402
from gpu_acceptance import Step, run_steps  # noqa: E402
from gpu_report import FAILED, NOT_RUN, PASSED, Finished, StepResult, Verdict  # noqa: E402

CLEAN = "========= COMPUTE-SANITIZER\n37 passed in 20 s\n========= ERROR SUMMARY: 0 errors\n"
FOUND = "========= COMPUTE-SANITIZER\n========= ERROR SUMMARY: 1 error\n"
RACE_CLEAN = "5 passed\n========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)\n"
RACE_FOUND = "========= RACECHECK SUMMARY: 1 hazard displayed (1 error, 0 warnings)\n"
REFUSED = "========= COMPUTE-SANITIZER\n========= Error: Device not supported.\n"


def test_without_a_gpu_it_says_so_and_stops(tmp_path: Path) -> None:
    nothing = tmp_path / "bin"
    nothing.mkdir()
    for program in ("bash", "timeout", "dirname", "grep", "env"):
        (nothing / program).symlink_to(f"/usr/bin/{program}")
    begin = time.monotonic()
    answer = subprocess.run(
        ["/usr/bin/env", "bash", BENCHMARKS / "gpu_acceptance.sh", tmp_path / "out"],
        env={"PATH": str(nothing)},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert answer.stderr.count("\n") == 1
    assert "no NVIDIA GPU here" in answer.stderr
    assert not (tmp_path / "out").exists()
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize(
    ("finished", "planted", "clean"),
    [
        (Finished(0, CLEAN), FAILED, PASSED),
        (Finished(0, RACE_CLEAN), FAILED, PASSED),
        (Finished(1, FOUND), PASSED, FAILED),
        (Finished(1, RACE_FOUND), PASSED, FAILED),
        (Finished(0, FOUND), FAILED, FAILED),  # the exit status was asked for
        (Finished(1, REFUSED), NOT_RUN, NOT_RUN),
        (Finished(1, CLEAN), FAILED, FAILED),  # a test failed
        (Finished(0, "========= ERROR SUMMARY: 0 errors"), FAILED, FAILED),  # no test ran
        (Finished(127, "cannot execute"), FAILED, FAILED),
        (Finished(None, FOUND), FAILED, FAILED),
    ],
)
def test_verdicts_on_sanitizers(finished: Finished, planted: str, clean: str) -> None:
    assert gpu_report.judge_planted(finished).outcome == planted
    assert gpu_report.judge_sanitizer(finished).outcome == clean


def _junit(folder: Path, **counts: int) -> Path:
    attributes = " ".join(f'{name}="{count}"' for name, count in counts.items())
    path = folder / "tests.xml"
    path.write_text(f"<testsuites><testsuite {attributes}/></testsuites>")
    return path


def test_verdicts_on_tests(tmp_path: Path) -> None:
    def judge(status: int | None, **counts: int) -> Verdict:
        return gpu_report.judge_tests(Finished(status, "..."), _junit(tmp_path, **counts))

    passed = judge(0, tests=9, failures=0, errors=0, skipped=2)
    assert passed == Verdict(PASSED, "7 passed, 0 failed, 2 skipped")
    assert judge(1, tests=9, failures=1, errors=0, skipped=2).outcome == FAILED
    assert judge(0, tests=9, failures=0, errors=0, skipped=9).outcome == FAILED
    assert judge(None, tests=9, failures=0, errors=0, skipped=0).outcome == FAILED
    absent = gpu_report.judge_tests(Finished(2, "ImportError: x"), tmp_path / "none.xml")
    assert absent == Verdict(FAILED, "exit status 2: ImportError: x")


def test_steps_have_limits_and_later_ones_run(tmp_path: Path) -> None:
    child = f"{sys.executable} -c 'import time; time.sleep(60)' & echo $! ; wait"
    steps = [
        Step("bad", ["sh", "-c", "echo why; exit 3"], 20, 100, "a.log"),
        Step("needy", ["true"], 20, 100, "a.log", needs="bad"),
        Step("slow", ["sh", "-c", child], 5, 100, "b.log"),
        Step("absent", ["/nowhere/tool"], 20, 100, "b.log"),
        Step("late", ["true"], 20, 5, "b.log"),
        Step("good", ["sh", "-c", "test $MTL_X = 1"], 20, 100, "b.log", environment={"MTL_X": "1"}),
    ]
    begin = time.monotonic()
    results = run_steps(steps, tmp_path, tmp_path)
    assert time.monotonic() - begin < 15
    assert [result.outcome for result in results] == [
        FAILED, NOT_RUN, FAILED, NOT_RUN, NOT_RUN, PASSED,
    ]  # fmt: skip
    assert results[0].note == "exit status 3: why"
    assert "time limit" in results[2].note
    assert "no tool on this machine" in results[3].note
    pid = int((tmp_path / "b.log").read_text().splitlines()[1])
    time.sleep(0.2)
    status = Path(f"/proc/{pid}/status")
    assert not status.exists() or "State:\tZ" in status.read_text()  # dead, at most not yet reaped


def test_the_plan_fits_into_nine_minutes(tmp_path: Path) -> None:
    steps = gpu_acceptance.plan(tmp_path, "90")
    ends = [step.ends_by for step in steps]
    assert ends == sorted(ends)
    assert ends[-1] <= 520
    names = [step.name for step in steps]
    assert len(names) == len(set(names))
    assert len({step.log for step in steps}) + 2 <= 8  # files in the folder
    for tool in gpu_acceptance.TOOLS:
        assert names.index(f"{tool} reports its planted bug") < names.index(f"tests under {tool}")
        assert f'"{tool}"' in (BENCHMARKS / "planted_bugs.cu").read_text()
    for test in gpu_acceptance.SANITIZED_TESTS:
        file, name = test.split("::")
        source = (Path(__file__).parent / "gpu" / file).read_text()
        assert f"def {name}(" in source


def _benchmark(both: float, eager: float) -> dict[str, Any]:
    def row(name: str, seconds: float, **more: float) -> dict[str, Any]:
        timing = {"median": seconds, "p20": seconds, "p80": seconds}
        parts = {part: timing for part in ("forward", "backward", "both")}
        host = {"host_forward_us": 20.0, "host_backward_us": 25.0, "peak_bytes": 2**20}
        return {"name": name, **parts, **host, **more}

    rows = [
        row("fused", both, gb_per_s=3500.0, share_of_copy=0.875),
        row("eager", eager),
        {"name": "torch.compile", "error": "RuntimeError: no compiler | here"},
    ]
    return {"title": "B=8", "note": "189 B.", "rows": rows, "aims": {"eager": 4}}


def test_report_as_json_and_markdown(tmp_path: Path) -> None:
    steps = [
        StepResult("build", PASSED, 61.0, ""),
        StepResult("tests under racecheck", NOT_RUN, 0.0, "there is no tool"),
    ]
    report = gpu_report.as_json({"name": "A GPU"}, steps, [_benchmark(0.001, 0.0035)])
    assert report["outcome"] == PASSED
    assert [target["met"] for target in report["targets"]] == [True, True, False]
    assert json.loads(json.dumps(report)) == report
    text = gpu_report.as_markdown(report)
    assert "# GPU acceptance: passed, 1 steps not run" in text
    assert "| tests under racecheck | not run | 0.0 | there is no tool |" in text
    assert "| name | A GPU |" in text
    assert "| fused | 1.000 [1.000, 1.000] |" in text
    assert "| 3500 | 88% | 1 | 20 | 25 |" in text
    assert "no compiler \\| here" in text
    widths = {line.replace("\\|", "").count("|") for line in text.splitlines() if "ms" in line}
    assert len(widths) == 1
    failed = gpu_report.as_json({}, [StepResult("build", FAILED, 1.0, "")], [])
    assert failed["outcome"] == FAILED
    assert "failed" in gpu_report.as_markdown(failed)
