"""The threads of the CPU clustering under ThreadSanitizer and AddressSanitizer."""

from __future__ import annotations

import os
import subprocess

import pytest
from simt_harness import (
    ACTIVE_SANITIZER,
    CSRC,
    SANITIZERS,
    TESTS_NATIVE,
    build_simt_program,
    require_simt,
    sanitizer_options,
)

require_simt()
if ACTIVE_SANITIZER:
    pytest.skip("starts sanitizers itself", allow_module_level=True)

SOURCES = [
    TESTS_NATIVE / "cluster/threads.cpp",
    CSRC / "cluster/cpu/dbscan.cpp",
    CSRC / "cluster/cpu/grid.cpp",
    CSRC / "cluster/cpu/optics.cpp",
    CSRC / "cluster/cpu/places.cpp",
    CSRC / "common/parallel.cpp",
]


@pytest.mark.parametrize("sanitizer", SANITIZERS)
def test_no_reports_and_the_same_results(sanitizer: str) -> None:
    program = build_simt_program(SOURCES, sanitizer)
    environment = os.environ | sanitizer_options()
    result = subprocess.run(
        [program], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr[-4000:]
    assert result.stdout == "the same on any number of threads\n"
