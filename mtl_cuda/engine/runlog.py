"""What a training writes down while it runs: the one object that its loop tells everything."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import Tensor

from mtl_cuda.data.io import write_bytes
from mtl_cuda.engine.logging import MetricsLog
from mtl_cuda.engine.tensorboard import TensorBoardLog

Panels = list[tuple[str, npt.NDArray[np.uint8]]]
"""Names and pictures, uint8 [H, W, 3], RGB."""


class RunLog:
    """metrics.csv, confusion.csv and, where wanted, tensorboard/ in a run's folder.

    Args:
        folder: of the run; None writes nothing anywhere.
        columns: of metrics.csv, see `MetricsLog`.
        kept: the last step, by split, that a run which goes on will not do again.
        tensorboard: write for TensorBoard too.
    """

    def __init__(
        self,
        folder: Path | None,
        columns: Sequence[str],
        kept: Mapping[str, int],
        tensorboard: bool = False,
    ) -> None:
        self._folder = folder
        self._csv: MetricsLog | None = None
        self._board: TensorBoardLog | None = None
        if folder is None:
            return
        if not kept["val"]:  # of an earlier run that this one replaces
            (folder / "confusion.csv").unlink(missing_ok=True)
        self._csv = MetricsLog(folder / "metrics.csv", columns, kept)
        if tensorboard:
            self._board = TensorBoardLog(folder / "tensorboard", kept["train"])

    def write(self, step: int, split: str, values: Mapping[str, float]) -> None:
        """Write a row of numbers.

        Raises:
            ValueError: a value has no column.
        """
        if self._csv is not None:
            self._csv.write(step, split, values)
        if self._board is not None:
            self._board.write(step, split, values)

    def write_confusion(self, confusion: Tensor | None, class_names: Sequence[str]) -> None:
        """Replace confusion.csv; None is a run without semantics.

        Args:
            confusion: counts of pixels [C, C + 1], see `SegmentationMetric.confusion`.
            class_names: C of them.
        """
        if self._folder is not None and confusion is not None:
            write_confusion(self._folder / "confusion.csv", confusion, class_names)

    def write_panels(self, step: int, draw: Callable[[], Panels] | None) -> None:
        """Show panels, which are drawn only where somebody can see them."""
        if self._board is not None and draw is not None:
            for name, picture in draw():
                self._board.write_picture(step, name, picture)

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, *error: object) -> None:
        if self._csv is not None:
            self._csv.__exit__(*error)
        if self._board is not None:
            self._board.close()


def write_confusion(path: Path, confusion: Tensor, class_names: Sequence[str]) -> None:
    """Write counts as CSV: a row per true class, a column per predicted one, the last for none."""
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["true class", *class_names, "no class"])
    for name, counts in zip(class_names, confusion.tolist()):
        writer.writerow([name, *counts])
    write_bytes(path, table.getvalue().encode())


def read_confusion(path: Path) -> tuple[list[str], npt.NDArray[np.int64]] | None:
    """Class names and counts int64 [C, C + 1] of a file that `write_confusion` made, if there.

    Raises:
        ValueError: it holds something else.
    """
    if not path.exists():
        return None
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    try:
        counts = np.array([[int(cell) for cell in row[1:]] for row in rows], np.int64)
        if counts.shape != (len(rows), len(rows) + 1):
            raise ValueError(f"a table of {list(counts.shape)}")
    except ValueError as error:
        raise ValueError(f"{path}: expected counts of classes by classes: {error}") from error
    return [row[0] for row in rows], counts
