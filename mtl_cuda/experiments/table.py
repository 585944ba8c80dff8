"""A table as CSV for programs and as Markdown for people."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mtl_cuda.experiments.statistics import Sample

Cell = Sample | float | str


@dataclass(frozen=True)
class Column:
    """One column; `show` writes its samples and numbers for people."""

    title: str
    cells: Sequence[Cell]
    show: Callable[[Any], str] = str


@dataclass(frozen=True)
class Table:
    """Columns of one length, the first with the names of the rows."""

    columns: Sequence[Column]

    def markdown(self) -> str:
        """A pipe table; "–" where a number is missing."""
        titles = [column.title for column in self.columns]
        rows = zip(*([_text(column, cell) for cell in column.cells] for column in self.columns))
        lines = [titles, ["---"] * len(titles), *rows]
        return "\n".join(f"| {' | '.join(_escaped(cell) for cell in line)} |" for line in lines)

    def csv(self) -> str:
        """Comma-separated; a column of samples becomes three: mean, spread and number of runs."""
        plain = [part for column in self.columns for part in _plain_columns(column)]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([title for title, _ in plain])
        writer.writerows(zip(*(cells for _, cells in plain)))
        return text.getvalue()


def _text(column: Column, cell: Cell) -> str:
    missing = not cell if isinstance(cell, Sample) else cell == "" or cell != cell
    if missing:
        return "–"
    return cell if isinstance(cell, str) else column.show(cell)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _plain_columns(column: Column) -> list[tuple[str, list[str]]]:
    if not any(isinstance(cell, Sample) for cell in column.cells):
        return [(column.title, [_plain(cell) for cell in column.cells])]
    samples = [cell if isinstance(cell, Sample) else Sample(()) for cell in column.cells]
    return [
        (column.title, [_plain(sample.mean) for sample in samples]),
        (f"{column.title}, spread", [_plain(sample.spread) for sample in samples]),
        (f"{column.title}, runs", [str(len(sample)) for sample in samples]),
    ]


def _plain(cell: Cell) -> str:
    if isinstance(cell, str):
        return cell
    number = cell.mean if isinstance(cell, Sample) else cell
    return "" if math.isnan(number) else f"{number:.6g}"
