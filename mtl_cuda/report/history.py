"""Reading metrics.csv, which a training writes row by row."""

from __future__ import annotations

import csv
import math
import os
from pathlib import Path


def read_metrics_csv(path: str | os.PathLike[str], split: str = "train") -> dict[str, list[float]]:
    """The rows of one split, column by column.

    Columns are `step`, `split`, and any number of numeric ones. A blank is NaN; a column without a
    number in any row is left out, and so is `split`. The file may end in the middle of a row, as
    that of a training that was killed.

    Args:
        path: of the file.
        split: "train" or "val".

    Returns:
        Lists of one length, by column; empty where no row is of this split.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: `step` or `split` is missing, or a cell is no number.
    """
    with Path(path).open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file, restval="")
        names = list(reader.fieldnames or ())
        for needed in ("step", "split"):
            if needed not in names:
                raise ValueError(f"{path}: expected a column {needed!r}, got {names}")
        names.remove("split")
        columns: dict[str, list[float]] = {name: [] for name in names}
        for row in reader:
            if row["split"] == split:
                for name in names:
                    columns[name].append(_number(row[name], f"{path}:{reader.line_num}", name))
    return {
        name: values for name, values in columns.items() if not all(math.isnan(v) for v in values)
    }


def _number(text: str, place: str, column: str) -> float:
    try:
        return float(text) if text.strip() else math.nan
    except ValueError:
        raise ValueError(f"{place}: expected a number in column {column!r}, got {text!r}") from None
