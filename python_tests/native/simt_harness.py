"""CUDA kernels on the CPU: builds them with g++ against tests_native/simt and calls them.

A test of a kernel in five lines; `my_entry.cpp` exports `SIMT_ENTRY my_op(const float*, int64_t)`::

    library = build_simt_library([CSRC / "loss/cuda/my_op.cu", HERE / "my_entry.cpp"])
    for schedule in SCHEDULES:
        set_schedule(library, schedule)
        call(library, "my_op", array, array.size)
        ...  # compare with the reference

The same tests run under AddressSanitizer with UBSan and under ThreadSanitizer, which reports races
between threads and between blocks, through ``run_tests_sanitized(__file__, "thread")``.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
CSRC = ROOT / "csrc"
TESTS_NATIVE = ROOT / "tests_native"
SANITIZERS = ("address,undefined", "thread")

# The sanitizer that this process was started with by run_sanitized.
ACTIVE_SANITIZER = os.environ.get("MTL_SIMT_SANITIZER")


class SimtError(Exception):
    """What a launcher threw, or what a kernel did that a GPU leaves undefined."""


@dataclass(frozen=True)
class Schedule:
    """How kernels run: the order of blocks and threads, and what uninitialised memory holds."""

    order: str = "forward"  # or "reverse", "random"
    seed: int = 1
    poison: int = 0xFF
    workers: int = 1  # operating system threads that run blocks
    processors: int = 4  # multiprocessors the device reports
    last_blocks: int = 0  # n > 0: only the last n blocks of each grid run


SCHEDULES = (
    Schedule(),
    Schedule(poison=0),
    Schedule("reverse"),
    Schedule("random", seed=1, poison=0),
    Schedule("random", seed=2, workers=2),
)


def find_cuda_headers() -> Path | None:
    """The folder that holds cuda_runtime.h, cuda_fp16.h and cuda_bf16.h."""
    homes = [os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), "/usr/local/cuda"]
    folders = [Path(home) / "include" for home in homes if home]
    folders.append(Path(sysconfig.get_path("purelib")) / "nvidia/cu13/include")
    names = ("cuda_runtime.h", "cuda_fp16.h", "cuda_bf16.h")
    return next((f for f in folders if all((f / name).is_file() for name in names)), None)


def require_simt() -> None:
    """Skips the calling test module where the harness cannot be built."""
    reason = None
    if platform.machine() not in ("x86_64", "AMD64") or sys.platform != "linux":
        reason = "the SIMT harness is written for Linux on x86-64"
    elif shutil.which("g++") is None:
        reason = "no g++"
    elif find_cuda_headers() is None:
        reason = "no CUDA headers in CUDA_HOME, CUDA_PATH, /usr/local/cuda or site-packages"
    if reason:
        pytest.skip(reason, allow_module_level=True)


def build_simt_library(
    sources: Sequence[Path], sanitizer: str | None = ACTIVE_SANITIZER
) -> ctypes.CDLL:
    """Compiles .cu and .cpp files and the harness to a library, once per state of the sources.

    Args:
        sources: Launchers, and a file of SIMT_ENTRY functions (tests_native/simt/entry.h).
        sanitizer: None, "address,undefined" or "thread". Python itself must run under it
            (`run_sanitized`).
    """
    if sanitizer != ACTIVE_SANITIZER:
        raise RuntimeError(
            f"sanitizer={sanitizer!r}, but this process runs under {ACTIVE_SANITIZER!r}: start it "
            "with run_sanitized"
        )
    return ctypes.CDLL(str(_build(sources, sanitizer, "-shared")))


def build_simt_program(sources: Sequence[Path], sanitizer: str | None = None) -> Path:
    """Compiles sources, one of them with a main(), and the harness to a program."""
    return _build(sources, sanitizer, "-pie")


def set_schedule(library: ctypes.CDLL, schedule: Schedule) -> None:
    """Sets how the next launches of `library` run."""
    order, *rest = astuple(schedule)
    call(library, "simt_configure", ("forward", "reverse", "random").index(order), *rest)


def call(library: ctypes.CDLL, name: str, *arguments: np.ndarray | int | float | None) -> None:
    """Calls a SIMT_ENTRY function; raises SimtError with what it threw.

    Its parameters are pointers (given as arrays, addresses or None), int64_t and double.
    """
    function = getattr(library, name)
    function.restype = ctypes.c_char_p
    message = function(*map(_as_c, arguments))
    if message is not None:
        raise SimtError(message.decode())


def kernels_since(library: ctypes.CDLL, launch: int) -> list[str]:
    """The mangled names of the kernels that were launched after the first `launch` of them."""
    library.simt_kernel.restype = ctypes.c_char_p
    launches = range(launch, library.simt_launches())
    return [library.simt_kernel(ctypes.c_int64(i)).decode() for i in launches]


def _as_c(argument: np.ndarray | int | float | None) -> object:
    if isinstance(argument, np.ndarray):
        return ctypes.c_void_p(argument.ctypes.data)
    if isinstance(argument, float):
        return ctypes.c_double(argument)
    return None if argument is None else ctypes.c_int64(argument)


def run_sanitized(
    command: Sequence[str], sanitizer: str, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """Runs a command, such as Python, so that it can load libraries built with `sanitizer`."""
    names = {"address,undefined": ("asan", "ubsan"), "thread": ("tsan",)}[sanitizer]
    # libstdc++ as well: the sanitizers wrap __cxa_throw, which Python itself does not bring.
    preload = [_compiler_file(f"lib{name}.so") for name in (*names, "stdc++")]
    environment = os.environ | {
        "LD_PRELOAD": " ".join(preload),
        "MTL_SIMT_SANITIZER": sanitizer,
        "PYTHONMALLOC": "malloc",
        **sanitizer_options(),
    }
    return subprocess.run(
        [*_fixed_addresses(), *command],
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def sanitizer_options() -> dict[str, str]:
    """Environment: exit status 66 after a report; no waiting at the end of the program."""
    return {
        "ASAN_OPTIONS": "detect_leaks=0:exitcode=66",
        "UBSAN_OPTIONS": "print_stacktrace=1:exitcode=66",
        "TSAN_OPTIONS": "exitcode=66:atexit_sleep_ms=0:report_signal_unsafe=0",
    }


def run_tests_sanitized(test_file: str, sanitizer: str, select: str = "") -> None:
    """Runs a test file's tests (pytest -k `select`) once more, under a sanitizer.

    Call it from a test of that file which skips itself where ACTIVE_SANITIZER is set.
    """
    options = ["-q", "--noconftest", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *options, test_file, "-k", select]
    result = run_sanitized(command, sanitizer, timeout=300)
    ran = re.search(r"\b[1-9]\d* passed", result.stdout)
    if result.returncode != 0 or not ran:
        pytest.fail(f"under {sanitizer}:\n{result.stdout[-6000:]}\n{result.stderr[-6000:]}")


def _build(sources: Iterable[Path], sanitizer: str | None, kind: str) -> Path:
    flags = ["-g", "-O1", "-fPIC", "-fno-strict-aliasing", "-DMTL_SIMT"]
    if sanitizer:
        flags += [f"-fsanitize={sanitizer}", "-fno-omit-frame-pointer"]
        flags += ["-fno-sanitize-recover=undefined"] if "undefined" in sanitizer else []
    # The harness itself is never instrumented: its fibers would accuse each other.
    harness = sorted((TESTS_NATIVE / "simt").glob("*.cpp"))
    runtime = _compile(["-O2", "-g", "-fPIC", "-r", "-nostdlib"], harness, [TESTS_NATIVE], "o")
    # -Bsymbolic: the harness's CUDA runtime, not one that happens to be loaded.
    link = [kind, "-pthread", "-Wl,-Bsymbolic"]
    suffix = "so" if kind == "-shared" else "bin"
    return _compile([*flags, *link], list(sources), [CSRC, TESTS_NATIVE], suffix, runtime)


def _compile(
    flags: list[str], sources: list[Path], watched: list[Path], suffix: str, *objects: Path
) -> Path:
    """The result of one call of g++, from build/simt if nothing under `watched` has changed."""
    include = [f"-I{CSRC}", f"-I{TESTS_NATIVE}", "-isystem", str(find_cuda_headers())]
    include += [f"-I{folder}" for folder in sorted({str(source.parent) for source in sources})]
    inputs = ["-x", "c++", *map(str, sources), "-x", "none", *map(str, objects)]
    command = ["g++", "-std=c++17", *flags, *include, *inputs]
    digest = hashlib.sha256(repr(command).encode())
    for path in sorted({*_sources_under(watched), *sources}):
        digest.update(path.read_bytes())
    target = ROOT / "build" / "simt" / f"{sources[0].stem}-{digest.hexdigest()[:16]}.{suffix}"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_suffix(f".{os.getpid()}")
        result = subprocess.run([*command, "-o", str(unfinished)], capture_output=True, text=True)
        if result.returncode != 0:
            raise RuntimeError(f"g++ failed:\n{' '.join(command)}\n{result.stderr}")
        unfinished.replace(target)
    return target


def _sources_under(folders: Iterable[Path]) -> list[Path]:
    suffixes = {".h", ".cuh", ".cu", ".cpp"}
    return [path for folder in folders for path in folder.rglob("*") if path.suffix in suffixes]


@functools.cache
def _compiler_file(name: str) -> str:
    command = ["g++", f"-print-file-name={name}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@functools.cache
def _fixed_addresses() -> list[str]:
    """A prefix that turns address randomisation off, which ThreadSanitizer may not cope with."""
    prefix = ["setarch", platform.machine(), "-R"]
    usable = shutil.which("setarch") and subprocess.run([*prefix, "true"]).returncode == 0
    return prefix if usable else []
