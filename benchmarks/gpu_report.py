"""Outcomes of the steps of gpu_acceptance.py, and what is written about them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

PASSED, FAILED, NOT_RUN = "passed", "failed", "not run"


@dataclass(frozen=True)
class Finished:
    """A command that has ended: its exit status (None: stopped at its limit) and its output."""

    status: int | None
    output: str


@dataclass(frozen=True)
class Verdict:
    """One of the three outcomes, and why."""

    outcome: str
    note: str = ""


@dataclass(frozen=True)
class StepResult:
    """One line of the report."""

    step: str
    outcome: str
    seconds: float
    note: str


def last_line(output: str) -> str:
    """The last line with something in it, shortened."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1][-200:] if lines else "no output"


def judge_exit(finished: Finished) -> Verdict:
    """Passed where the command ended with 0."""
    if finished.status == 0:
        return Verdict(PASSED)
    if finished.status is None:
        return Verdict(FAILED, "stopped at its time limit")
    return Verdict(FAILED, f"exit status {finished.status}: {last_line(finished.output)}")


def judge_tests(finished: Finished, junit: Path) -> Verdict:
    """From pytest's JUnit file; tests that all skip have shown nothing."""
    ended = judge_exit(finished)
    if not junit.is_file():
        return Verdict(FAILED, ended.note or "pytest left no results")
    suites = ElementTree.parse(junit).getroot().iter("testsuite")
    counts = {name: 0 for name in ("tests", "failures", "errors", "skipped")}
    for suite in suites:
        for name in counts:
            counts[name] += int(suite.get(name, 0))
    passed = counts["tests"] - counts["failures"] - counts["errors"] - counts["skipped"]
    note = f"{passed} passed, {counts['failures'] + counts['errors']} failed, "
    note += f"{counts['skipped']} skipped"
    if ended.outcome == PASSED and passed > 0:
        return Verdict(PASSED, note)
    return Verdict(FAILED, note if finished.status is not None else f"{note}; {ended.note}")


def _sanitizer_errors(finished: Finished) -> int | Verdict:
    """The number of errors that compute-sanitizer reports, or why there is none."""
    if finished.status is None:
        return Verdict(FAILED, "stopped at its time limit")
    if re.search(r"Device not supported|LibraryNotLoaded|not supported on this", finished.output):
        return Verdict(NOT_RUN, "the tool does not support this machine")
    found = re.findall(r"SUMMARY: .*?(\d+) error", finished.output)
    if not found:
        return Verdict(FAILED, f"no summary: {last_line(finished.output)}")
    return sum(map(int, found))


def judge_planted(finished: Finished) -> Verdict:
    """Passed where the tool reports the planted defect, and by its exit status too."""
    errors = _sanitizer_errors(finished)
    if isinstance(errors, Verdict):
        return errors
    if errors == 0 or finished.status != 1:
        return Verdict(FAILED, "the planted defect was not reported")
    return Verdict(PASSED, f"{errors} error(s) reported, as they should be")


def judge_sanitizer(finished: Finished) -> Verdict:
    """Passed where tests ran under the tool, passed, and nothing was reported."""
    errors = _sanitizer_errors(finished)
    if isinstance(errors, Verdict):
        return errors
    if errors:
        return Verdict(FAILED, f"{errors} error(s) reported")
    tests = re.search(r"(\d+) passed", finished.output)
    if finished.status != 0 or tests is None:
        return Verdict(FAILED, f"exit status {finished.status}, no error reported by the tool")
    return Verdict(PASSED, f"{tests.group(1)} tests, nothing reported")


def targets(benchmarks: list[dict[str, Any]]) -> list[tuple[str, bool]]:
    """What the kernels are meant to reach, and whether they do. No step fails over these."""
    reached: list[tuple[str, bool]] = []
    for result in benchmarks:
        rows = {row["name"]: row for row in result["rows"] if "both" in row}
        if "fused" not in rows:
            continue
        fused, case = rows["fused"], result["title"]
        if "share_of_copy" in fused:
            share = fused["share_of_copy"]
            reached.append((f"{case}: 80 % of copy bandwidth, is {share:.0%}", share >= 0.8))
        if "memory_aim_bytes" in result:
            peak, most = fused["peak_bytes"] / 2**20, result["memory_aim_bytes"] / 2**20
            reached.append((f"{case}: at most {most:.0f} MiB, is {peak:.0f} MiB", peak <= most))
        cost = fused["host_forward_us"] + fused["host_backward_us"]
        reached.append((f"{case}: host 50 µs per call, is {cost:.0f} µs", cost <= 50))
        for name, factor in result["aims"].items():
            if name in rows:
                ratio = rows[name]["both"]["median"] / fused["both"]["median"]
                claim = f"{case}: at least {factor} x as fast as {name}, is {ratio:.2f} x"
                reached.append((claim, ratio >= factor))
    return reached


def as_json(
    conditions: dict[str, Any], steps: list[StepResult], benchmarks: list[dict[str, Any]]
) -> dict[str, Any]:
    """The whole report as plain data."""
    return {
        "outcome": FAILED if any(step.outcome == FAILED for step in steps) else PASSED,
        "conditions": conditions,
        "steps": [asdict(step) for step in steps],
        "targets": [{"target": text, "met": met} for text, met in targets(benchmarks)],
        "benchmarks": benchmarks,
    }


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    lines = [header, ["---"] * len(header), *cells]
    return ["| " + " | ".join(line) + " |" for line in lines] + [""]


def _benchmark_row(row: dict[str, Any]) -> list[str]:
    if "both" not in row:
        return [row["name"], row.get("error", "not run"), *[""] * 8]
    times = [
        f"{row[part]['median'] * 1e3:.3f} [{row[part]['p20'] * 1e3:.3f}, "
        f"{row[part]['p80'] * 1e3:.3f}]"
        for part in ("forward", "backward", "both")
    ]
    rate, share = row.get("gb_per_s"), row.get("share_of_copy")
    return [
        row["name"],
        *times,
        "" if rate is None else f"{rate:.0f}",
        "" if share is None else f"{share:.0%}",
        f"{row['peak_bytes'] / 2**20:.0f}",
        f"{row['host_forward_us']:.0f}",
        f"{row['host_backward_us']:.0f}",
        str(row.get("largest_batch", "")),
    ]


def as_markdown(report: dict[str, Any]) -> str:
    """The report of `as_json` as tables."""
    absent = sum(step["outcome"] == NOT_RUN for step in report["steps"])
    lines = [
        f"# GPU acceptance: {report['outcome']}" + f", {absent} steps not run" * bool(absent),
        "",
    ]
    steps = [
        [step["step"], step["outcome"], f"{step['seconds']:.1f}", step["note"]]
        for step in report["steps"]
    ]
    lines += _table(["step", "outcome", "seconds", "note"], steps)
    lines += ["## Conditions", ""]
    lines += _table(["", ""], [[key, str(value)] for key, value in report["conditions"].items()])
    if report["targets"]:
        lines += ["## Targets", ""]
        met = {True: "met", False: "missed"}
        lines += _table(["target", ""], [[t["target"], met[t["met"]]] for t in report["targets"]])
    header = ["", "forward ms [p20, p80]", "backward ms", "both ms", "GB/s", "of copy"]
    header += ["peak MiB", "host forward µs", "host backward µs", "largest batch in 8 GiB"]
    for result in report["benchmarks"]:
        lines += [f"## {result['title']}", "", result["note"], ""]
        lines += _table(header, [_benchmark_row(row) for row in result["rows"]])
    return "\n".join(lines)
