"""`mtl-cuda`, but the last of its processes kills itself in step N, if torchrun can start it again.

kill_once.py N ARGUMENTS
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from mtl_cuda.cli import main
from mtl_cuda.engine.train import Trainer


def train_step(trainer: Trainer, *batches: Any) -> dict[str, float]:
    """Kill the process in the wanted step of its first life."""
    wanted = int(sys.argv[1]), "0"
    is_last = os.environ["RANK"] == str(int(os.environ["WORLD_SIZE"]) - 1)
    if is_last and (trainer.step + 1, os.environ["TORCHELASTIC_RESTART_COUNT"]) == wanted:
        os.kill(os.getpid(), signal.SIGKILL)
    return own_step(trainer, *batches)


own_step = Trainer.train_step
Trainer.train_step = train_step  # type: ignore[method-assign]
sys.exit(main(sys.argv[2:]))
