"""The SIMT harness finds planted defects by the means it is expected to, and accuses nobody else.

The means: ``stops``, the harness ends the launch with a message; ``schedules``, results differ
between orders of threads and blocks or between poison bytes; ``result``, the result is wrong, the
same in every schedule; ``address``, AddressSanitizer or UBSan; ``race``, ThreadSanitizer.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from simt_harness import (
    ACTIVE_SANITIZER,
    TESTS_NATIVE,
    build_simt_program,
    require_simt,
    sanitizer_options,
)

require_simt()
if ACTIVE_SANITIZER:
    pytest.skip("starts sanitizers itself", allow_module_level=True)

DEFECTS = {
    "barrier": {"schedules", "race"},
    "barrier_in_loop": {"schedules", "race"},
    "warp_barrier": {"schedules", "race"},
    "cleared_accumulator": {"schedules"},
    "atomic_in_shared": {"race"},
    "shared_write": {"stops", "address"},
    "shared_read": {"schedules", "address"},
    "dynamic_shared_write": {"stops", "address"},
    "uniform_barrier": {"stops"},
    "one_barrier": {"stops"},
    "mask_of_all": {"stops"},
    "mask_of_half": {"stops"},
    "source_in_mask": {"schedules"},
    "spinning": {"stops"},
    "too_much_shared": {"stops"},
    "global_write": {"address"},
    "global_read": {"address"},
    "vector_load": {"address", "result"},
    "atomic_in_global": {"race"},
    "last_block": {"race"},
    "blocks_apart": {"schedules", "race"},
    "silent_race": {"race"},
    "sum_in_any_order": {"schedules"},
    "wide_index": {"address", "result"},
}
# order, seed, poison
SCHEDULES = ((0, 1, 255), (0, 1, 0), (1, 1, 255), (2, 1, 0), (2, 2, 255))
STOPPED, REPORTED = 3, 66


@pytest.fixture(scope="module")
def programs() -> dict[str, Path]:
    source = [TESTS_NATIVE / "samples" / "defects.cpp"]
    sanitizers = {"plain": None, "address": "address,undefined", "race": "thread"}
    return {name: build_simt_program(source, flag) for name, flag in sanitizers.items()}


def run(program: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [str(program), *map(str, arguments)]
    environment = os.environ | sanitizer_options()
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert result.returncode in (0, STOPPED, REPORTED), result.stderr
    return result


def found_by(programs: dict[str, Path], name: str, variant: str) -> set[str]:
    """By which means the harness finds something wrong with this variant of a kernel."""
    plain = [run(programs["plain"], name, variant, *schedule) for schedule in SCHEDULES]
    found = {"stops"} if all(result.returncode == STOPPED for result in plain) else set()
    results = {result.stdout for result in plain if result.returncode == 0}
    if len(results) > 1:
        found.add("schedules")
    elif results != {run(programs["plain"], name, "sound", *SCHEDULES[0]).stdout} and not found:
        found.add("result")
    for sanitizer in ("address", "race"):
        if run(programs[sanitizer], name, variant, *SCHEDULES[0]).returncode == REPORTED:
            found.add(sanitizer)
    return found


@pytest.mark.parametrize("name", DEFECTS)
def test_a_planted_defect_is_found(programs: dict[str, Path], name: str) -> None:
    assert found_by(programs, name, "defective") >= DEFECTS[name]


@pytest.mark.parametrize("name", DEFECTS)
def test_the_sound_kernel_beside_it_is_not_accused(programs: dict[str, Path], name: str) -> None:
    assert found_by(programs, name, "sound") == set()


def test_a_stopped_launch_says_where_and_why(programs: dict[str, Path]) -> None:
    message = run(programs["plain"], "one_barrier", "defective", 0, 1, 255).stderr
    assert "defects.cpp:" in message
    assert "a barrier, while 1 threads wait at the one of line" in message
    assert "(block 0,0,0 thread 1,0,0)" in message
