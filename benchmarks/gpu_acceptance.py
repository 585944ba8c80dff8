"""The steps of gpu_acceptance.sh: build, tests, compute-sanitizer, benchmarks, with limits."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import gpu_report
from gpu_report import FAILED, NOT_RUN, PASSED, Finished, StepResult, Verdict

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
TOOLS = ("memcheck", "racecheck", "initcheck", "synccheck")
SANITIZED_TESTS = (
    "test_gpu_values.py::test_every_kernel",
    "test_gpu_upsampled.py::test_every_kernel",
    "test_gpu_argmax.py::test_layouts",
    "test_gpu_instances.py::test_strides",
    "test_gpu_cluster.py::test_types_and_layouts",
    "test_gpu_dbscan.py::test_bad_and_no_points",
)
BENCHMARKS = [
    (size, dtype) for size in ("1024 2048", "512 1024") for dtype in ("float32", "bfloat16")
]
FEWEST_SECONDS = 5.0


@dataclass(frozen=True)
class Step:
    """A command with a limit of its own; `ends_by` counts from the start of the whole run."""

    name: str
    command: list[str]
    seconds: float
    ends_by: float
    log: str
    judge: Callable[[Finished], Verdict] = gpu_report.judge_exit
    environment: dict[str, str] = field(default_factory=dict)
    needs: str = ""  # the step that must have passed before


def finish(
    command: list[str], seconds: float, environment: dict[str, str], folder: Path
) -> Finished:
    """Runs a command in a session of its own, so that nothing of it outlives its limit."""
    process = subprocess.Popen(
        command,
        cwd=folder,  # not the checkout: its package has no native library
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=seconds)
        return Finished(process.returncode, output)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        return Finished(None, output)


def run_steps(steps: list[Step], out: Path, scratch: Path) -> list[StepResult]:
    """Runs them in order; one that fails stops only those that need it."""
    begin, done = time.monotonic(), dict[str, StepResult]()
    for step in steps:
        started = time.monotonic()
        limit = min(step.seconds, step.ends_by - (started - begin))
        if step.needs and done[step.needs].outcome != PASSED:
            verdict = Verdict(NOT_RUN, f"needs the step '{step.needs}'")
        elif not shutil.which(step.command[0]):
            verdict = Verdict(NOT_RUN, f"there is no {Path(step.command[0]).name} on this machine")
        elif limit < FEWEST_SECONDS:
            verdict = Verdict(NOT_RUN, "no time was left for it")
        else:
            finished = finish(step.command, limit, step.environment, scratch)
            with (out / step.log).open("a") as log:
                log.write(f"== {step.name}\n{finished.output[-200_000:]}\n")
            verdict = step.judge(finished)
        seconds = round(time.monotonic() - started, 1)
        done[step.name] = StepResult(step.name, verdict.outcome, seconds, verdict.note)
        print(f"{verdict.outcome:8s} {seconds:6.1f} s  {step.name}  {verdict.note}", flush=True)
    return list(done.values())


def cuda_tool(name: str) -> str:
    """A program of the CUDA toolkit: from PATH or the usual places; else its bare name."""
    folders = [os.environ.get("CUDA_HOME", ""), os.environ.get("CUDA_PATH", ""), "/usr/local/cuda"]
    places = [Path(folder) / "bin" / name for folder in folders if folder]
    places += [Path(folder) / "compute-sanitizer" / name for folder in folders if folder]
    usual = next((str(place) for place in places if place.is_file()), name)
    return shutil.which(name) or usual


def plan(scratch: Path, architecture: str) -> list[Step]:
    """All steps; about eight and a half minutes at most."""
    python, site, planted = sys.executable, scratch / "site", str(scratch / "planted_bugs")
    paths = {"PYTHONPATH": os.pathsep.join([str(site), str(HERE)]), "MTL_CUDA_TEST_DEVICE": "cuda"}
    pip = ["-m", "pip", "install", "--no-index", "--no-build-isolation", "--no-deps"]
    pip += ["--no-cache-dir", "--target", str(site), "-C", f"build-dir={scratch / 'build'}"]
    pytest = [
        python,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        str(ROOT / "pyproject.toml"),
    ]
    pytest += ["--rootdir", str(ROOT)]
    folder, junit = ROOT / "python_tests/gpu", scratch / "tests.xml"
    selection = [str(folder / name) for name in SANITIZED_TESTS]
    sanitizer = [cuda_tool("compute-sanitizer"), "--error-exitcode=1", "--report-api-errors=no"]
    nvcc = cuda_tool("nvcc")
    for_device = {"CUDAARCHS": architecture, "MTL_CUDA": "ON"}
    if Path(nvcc).is_file():
        for_device["CUDACXX"] = nvcc
    steps = [
        Step("build", [python, *pip, str(ROOT)], 160, 170, "build.log", environment=for_device),
        Step(
            "gpu tests",
            [*pytest, "-m", "gpu", f"--junitxml={junit}", str(folder)],
            170, 300, "tests.log", partial(gpu_report.judge_tests, junit=junit), paths, "build",
        ),
        Step(
            "planted bugs: build",
            [nvcc, f"-arch=sm_{architecture}", "-o", planted, str(HERE / "planted_bugs.cu")],
            30, 330, "sanitizers.log",
        ),
    ]  # fmt: skip
    for tool in TOOLS:
        steps.append(
            Step(
                f"{tool} reports its planted bug",
                [*sanitizer, "--tool", tool, planted, tool],
                20, 350, "sanitizers.log", gpu_report.judge_planted, needs="planted bugs: build",
            )
        )  # fmt: skip
    for tool in TOOLS:
        steps.append(
            Step(
                f"tests under {tool}",
                [*sanitizer, "--tool", tool, *pytest, *selection],
                60, 420, "sanitizers.log", gpu_report.judge_sanitizer,
                {**paths, "PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}, "build",
            )
        )  # fmt: skip
    for number, (size, dtype) in enumerate(BENCHMARKS):
        command = [python, str(HERE / "bench_loss.py"), "--device", "cuda", "--batch", "8"]
        command += ["--size", *size.split(), "--dtype", dtype]
        command += ["--json", str(scratch / f"bench{number}.json")]
        name = f"benchmark {size.replace(' ', 'x')} {dtype}"
        steps.append(
            Step(name, command, 70, 510, "benchmarks.log", environment=paths, needs="build")
        )
    for number, dtype in enumerate(("float32", "bfloat16")):
        command = [python, str(HERE / "bench_upsampled_loss.py"), "--device", "cuda", "--dtype"]
        command += [dtype, "--batch", "8", "--sizes", "1024x2048", "--ratios", "8"]
        command += ["--rounds", "30", "--json", str(scratch / f"bench_upsampled{number}.json")]
        name = f"benchmark low resolution {dtype}"
        steps.append(
            Step(name, command, 40, 515, "benchmarks.log", environment=paths, needs="build")
        )
    command = [python, str(HERE / "bench_clustering.py"), "--device", "cuda", "--rounds", "20"]
    command += ["--votes", "200000", "2000000"]
    steps.append(
        Step(
            "benchmark clustering",
            command,
            20,
            520,
            "benchmarks.log",
            environment=paths,
            needs="build",
        )
    )
    return steps


def ask(*command: str) -> str:
    """What a command prints, or why it printed nothing."""
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=ROOT)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"unknown ({error})"
    return answer.stdout.strip() or "unknown"


def conditions() -> dict[str, Any]:
    """What a reader must know to compare; the device's state is that before the run."""
    fields = "name,driver_version,compute_cap,memory.total,clocks.sm,clocks.mem,clocks.max.sm"
    fields += ",temperature.gpu,power.draw,utilization.gpu,memory.used"
    values = ask("nvidia-smi", "--id=0", f"--query-gpu={fields}", "--format=csv,noheader")
    found: dict[str, Any] = dict(zip(fields.split(","), values.split(", ")))
    versions = (
        "import torch, numpy; print(torch.__version__, torch.version.cuda, numpy.__version__)"
    )
    revision = os.environ.get("MTL_CUDA_REVISION")
    found |= {
        "torch, its CUDA, numpy": ask(sys.executable, "-c", versions),
        "nvcc": ask(cuda_tool("nvcc"), "--version").splitlines()[-1],
        "python": platform.python_version(),
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "revision": revision or ask("git", "describe", "--always", "--dirty", "--abbrev=12"),
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }
    return found


def main() -> int:
    """Command line: the folder for the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder for the report and the logs")
    out: Path = parser.parse_args().out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    for log in out.glob("*.log"):
        log.unlink()
    found = conditions()
    with tempfile.TemporaryDirectory(prefix="mtl_cuda_acceptance_") as folder:
        scratch = Path(folder)
        architecture = str(found.get("compute_cap", "")).replace(".", "") or "native"
        results = run_steps(plan(scratch, architecture), out, scratch)
        benchmarks = [
            case
            for path in sorted(scratch.glob("bench*.json"))
            for case in json.loads(path.read_text())["cases"]
        ]
    report = gpu_report.as_json(found, results, benchmarks)
    (out / "gpu_acceptance.json").write_text(json.dumps(report, indent=2) + "\n")
    (out / "gpu_acceptance.md").write_text(gpu_report.as_markdown(report))
    return 1 if report["outcome"] == FAILED else 0


if __name__ == "__main__":
    sys.exit(main())
