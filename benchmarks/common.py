"""What the benchmarks share: timing in turn, medians, memory, the conditions of a run."""

from __future__ import annotations

import ctypes
import gc
import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

_libc = ctypes.CDLL(None)


@dataclass(frozen=True)
class Timing:
    """Seconds per call: median, 20th and 80th percentile."""

    median: float
    p20: float
    p80: float

    def __str__(self) -> str:
        return f"{self.median * 1e3:8.1f} ms  [{self.p20 * 1e3:.1f}, {self.p80 * 1e3:.1f}]"


def time_in_turn(
    candidates: Mapping[str, Callable[[], object]], rounds: int = 15, warm_up: int = 2
) -> dict[str, Timing]:
    """Times the candidates in turn, round by round, so that a busy moment hits all of them."""
    samples: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(warm_up + rounds):
        for name, call in candidates.items():
            begin = time.perf_counter()
            call()
            if turn >= warm_up:
                samples[name].append(time.perf_counter() - begin)
    return {name: summary(values) for name, values in samples.items()}


def summary(values: list[float]) -> Timing:
    """Median and percentiles of measured seconds."""
    if len(values) < 2:
        return Timing(values[0], values[0], values[0])
    fifths = statistics.quantiles(values, n=5)
    return Timing(statistics.median(values), fifths[0], fifths[3])


def status_bytes(field: str) -> int:
    """A field of /proc/self/status that is in kB: VmRSS, VmHWM, VmSize."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {field}")


def peak_extra_bytes(call: Callable[[], object]) -> int:
    """Largest growth of the resident memory while ``call`` runs, as Linux keeps account of it."""
    gc.collect()
    if hasattr(_libc, "malloc_trim"):
        _libc.malloc_trim(0)  # memory that is kept for reuse would not count
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = status_bytes("VmRSS")
    call()
    return max(0, status_bytes("VmHWM") - before)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def _revision() -> str:
    answer = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    )
    return answer.stdout.strip() or "unknown"


def conditions() -> dict[str, object]:
    """What a reader must know to compare: machine, versions, threads, revision."""
    from mtl_cuda import native

    device = {"device": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}
    return {
        **device,
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        # Unless PASSIVE, idle OpenMP threads of PyTorch keep the cores busy for a while.
        "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "not set"),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "native": native.library().build_info(),
        "revision": _revision(),
        "date": time.strftime("%Y-%m-%d"),
    }


def write_results(path: str, results: dict[str, object]) -> None:
    """Results and conditions as JSON."""
    Path(path).write_text(json.dumps({"conditions": conditions(), **results}, indent=2) + "\n")
