"""The same numbers as in metrics.csv, and pictures, for TensorBoard."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt


def wants_tensorboard(setting: bool | Literal["auto"]) -> bool:
    """Whether to write for TensorBoard: as told, or where it is installed.

    Raises:
        ImportError: it is asked for and not installed; the message names the mend.
    """
    installed = importlib.util.find_spec("tensorboard") is not None
    if setting is True and not installed:
        raise ImportError(
            "run.tensorboard: true needs TensorBoard, which is not installed. Mend: pip install "
            "tensorboard, or set run.tensorboard to auto"
        )
    return installed if setting == "auto" else bool(setting)


class TensorBoardLog:
    """An event file in a folder.

    Args:
        folder: of the event files; those that are there are kept.
        done: the step that the run goes on from (0: a new run). What earlier event files hold
            behind it is done again, and TensorBoard is told to forget it.
    """

    def __init__(self, folder: Path, done: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=done + 1)

    def write(self, step: int, split: str, values: Mapping[str, float]) -> None:
        """Add numbers, each under SPLIT/NAME."""
        for name, value in values.items():
            self._writer.add_scalar(f"{split}/{name}", value, step)
        self._writer.flush()

    def write_picture(self, step: int, name: str, picture: npt.NDArray[np.uint8]) -> None:
        """Add a picture, uint8 [H, W, 3]."""
        self._writer.add_image(f"panels/{name}", picture, step, dataformats="HWC")

    def close(self) -> None:
        """Write what is still in memory."""
        self._writer.close()
