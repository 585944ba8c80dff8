from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

PROGRAM = """
import time
from mtl_cuda.data.parallel import map_jobs

def work(number):
    time.sleep(0.01)
    return number

if __name__ == "__main__":
    for number in map_jobs(work, range(100_000), workers=2):
        print(number, flush=True)
"""


def test_the_processes_end_with_one_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    parent = subprocess.Popen(
        [sys.executable, tmp_path / "program.py"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert parent.stdout
        assert parent.stdout.readline() == b"0\n"
        parent.kill()
        parent.communicate(timeout=20)  # the pipe closes when the last of them is gone
    finally:
        with suppress(ProcessLookupError):
            os.killpg(parent.pid, signal.SIGKILL)
