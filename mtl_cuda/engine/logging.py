"""What a run leaves behind while it runs: rows of metrics.csv and a line on the terminal."""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import torch
from tqdm import tqdm

from mtl_cuda.data.io import write_bytes
from mtl_cuda.modules import MultiTaskLossOutput

Item = TypeVar("Item")
_SECONDS_BETWEEN_LINES = 15.0


def loss_row(output: MultiTaskLossOutput) -> dict[str, float]:
    """The numbers of one step, in a single transfer from the device (which waits for it)."""
    named = {"total": output.total.detach()}
    for prefix, values in (
        ("loss", output.losses),
        ("sigma", output.sigmas),
        ("weight", output.weights),
    ):
        named |= {f"{prefix}/{task}": value.detach() for task, value in values.items()}
    return dict(zip(named, torch.stack(list(named.values())).tolist()))


def csv_columns(tasks: Iterable[str], metrics: Iterable[str]) -> list[str]:
    """The columns of metrics.csv behind `step` and `split`."""
    names = list(tasks)
    by_task = [f"{prefix}/{name}" for prefix in ("loss", "sigma", "weight") for name in names]
    return ["total", *by_task, "lr", "images_per_s", "data_wait", *metrics]


class StepMeter:
    """Means over several steps, their images per second, and the share of the time they waited."""

    def __init__(self) -> None:
        self._rows: list[dict[str, float]] = []
        self._images = 0
        self._seconds = 0.0
        self._waited = 0.0

    @contextmanager
    def timing(self, images: int) -> Iterator[None]:
        """Count the images and the time of what is done within."""
        start = time.monotonic()
        yield
        self._seconds += time.monotonic() - start
        self._images += images

    def watching(self, batches: Iterator[Item]) -> Iterator[Item]:
        """The same batches; the time that a step waits for one is counted as waiting."""
        while True:
            start = time.monotonic()
            try:
                batch = next(batches)
            except StopIteration:
                return
            self._waited += time.monotonic() - start
            yield batch

    def add(self, row: dict[str, float]) -> None:
        """Count the numbers of a step."""
        self._rows.append(row)

    def speed(self) -> dict[str, float]:
        """`images_per_s` and `data_wait`, a share in 0..1, since the last means."""
        seconds = max(self._seconds, 1e-9)
        return {"images_per_s": self._images / seconds, "data_wait": self._waited / seconds}

    def means(self) -> dict[str, float]:
        """The means of the steps since the last call, with their speed.

        Of steps that were left out, whose numbers are not finite, only where there is no other.
        """
        rows = [r for r in self._rows if all(map(math.isfinite, r.values()))] or self._rows
        means = {key: sum(r[key] for r in rows) / len(rows) for key in rows[0]}
        speed = self.speed()
        self._rows, self._images, self._seconds, self._waited = [], 0, 0.0, 0.0
        return {**means, **speed}

    def state_dict(self) -> dict[str, Any]:
        """What was counted since the last means, for a checkpoint."""
        return {
            "rows": list(self._rows),
            "images": self._images,
            "seconds": self._seconds,
            "waited": self._waited,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on counting from what `state_dict` gave."""
        self._rows = list(state["rows"])
        self._images, self._seconds = state["images"], state["seconds"]
        self._waited = state.get("waited", 0.0)  # older checkpoints have none


class MetricsLog:
    """A CSV file that grows row by row; every row is on the disk when `write` returns.

    The first two columns are `step` (training steps done) and `split`. Values left out stay blank.

    Args:
        path: of the file.
        columns: names of the others.
        kept: the last step, by split, whose row is kept of a file that is there: a run that goes on
            does the steps behind it again.
    """

    def __init__(self, path: Path, columns: Sequence[str], kept: Mapping[str, int]) -> None:
        names = ["step", "split", *columns]
        table = io.StringIO()
        writer = csv.DictWriter(table, names, extrasaction="ignore")
        writer.writeheader()
        if path.exists():
            writer.writerows(_rows_until(path, kept))
        write_bytes(path, table.getvalue().encode())
        self._file = open(path, "a", newline="")  # noqa: SIM115 - closed by __exit__
        self._writer = csv.DictWriter(self._file, names)

    def write(self, step: int, split: str, values: Mapping[str, float]) -> None:
        """Append a row.

        Raises:
            ValueError: a value has no column.
        """
        numbers = {key: f"{value:.6g}" for key, value in values.items()}
        self._writer.writerow({"step": step, "split": split, **numbers})
        self._file.flush()

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _rows_until(path: Path, last: Mapping[str, int]) -> list[dict[str, str]]:
    """The rows up to a step of their split; one that a crash cut off is left out."""
    with open(path, newline="") as file:
        rows = [row for row in csv.DictReader(file) if None not in row.values()]
    return [row for row in rows if int(row["step"]) <= last.get(row["split"], -1)]


class Progress:
    """A progress bar on a terminal; elsewhere a line every quarter of a minute.

    Args:
        steps: that there will be.
        done: of them before.
        quiet: print nothing at all.
    """

    def __init__(self, steps: int, done: int = 0, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bar = tqdm(
            total=steps,
            initial=done,
            unit="step",
            dynamic_ncols=True,
            disable=True if quiet else None,
            leave=False,
        )
        self._steps = steps
        self._first, self._began = done, time.monotonic()
        self._last_line = self._began

    def show(self, step: int, text: str) -> None:
        """Say that `step` steps are done."""
        if not self._bar.disable:
            self._bar.update(step - self._bar.n)
            self._bar.set_postfix_str(text, refresh=False)
        elif time.monotonic() - self._last_line > _SECONDS_BETWEEN_LINES:
            self.say(f"step {step}/{self._steps}  {text}  {self._time_left(step)}")
            self._last_line = time.monotonic()

    def _time_left(self, step: int) -> str:
        """At the mean speed so far, evaluations included (the bar says it on its own)."""
        per_step = (time.monotonic() - self._began) / max(1, step - self._first)
        return f"{tqdm.format_interval(per_step * (self._steps - step))} left"

    def set_steps(self, steps: int) -> None:
        """Change the number of steps that there will be."""
        self._steps = self._bar.total = steps

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        if not self._quiet:
            tqdm.write(text)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.close()


def describe_losses(values: Mapping[str, float]) -> str:
    """One line of a row's total loss, and raw loss and sigma of each task."""
    tasks = [key.removeprefix("loss/") for key in values if key.startswith("loss/")]
    parts = [f"loss {values['total']:.3g}"]
    for task in tasks:
        sigma = values.get(f"sigma/{task}")
        parts.append(
            f"{task} {values[f'loss/{task}']:.3g}" + ("" if sigma is None else f" (σ {sigma:.2g})")
        )
    return "  ".join(parts)


def describe_speed(values: Mapping[str, float]) -> str:
    """One line of what `StepMeter.speed` gives."""
    return f"{values['images_per_s']:.3g} images/s, {100 * values['data_wait']:.0f} % waiting"
