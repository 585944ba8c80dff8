"""The tasks of a loss as its op takes them: text, so that it crosses the dispatcher as one value.

What a set of tasks says does not change from call to call. So it is written to text once, and once
per device read from it into what the native library completes with the tensors of each call.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mtl_cuda.native import library
from mtl_cuda.tasks import CrossEntropyTask, InstanceOffsetTask, Task

# The codes of csrc/loss/loss.h.
KINDS = ("cross_entropy", "l1", "instance_offset")
LIKELIHOODS = ("fixed", "softmax", "scaled_softmax", "gaussian", "laplace")


class TaskText(NamedTuple):
    """A line of the text: a Python literal of these fields, 0 or None where one has no meaning."""

    name: str
    kind: str
    likelihood: str
    ignore_index: int
    label_smoothing: float
    class_weights: tuple[float, ...] | None


class NativeTasks(NamedTuple):
    """The tasks in the native library, without the tensors of a call."""

    tasks: Any
    class_weights: list[Tensor | None]  # float64, which `tasks` points to


def write_tasks(tasks: Mapping[str, Task]) -> str:
    """The text of tasks by name, a line each."""
    items = tuple(tasks.items())
    # A compiler traces the function itself, and warns where it finds a cache.
    return _write(items) if torch.compiler.is_compiling() else _written(items)


def _write(tasks: tuple[tuple[str, Task], ...]) -> str:
    lines = []
    for name, task in tasks:
        kind, rest = "l1", "0, 0.0, None"
        if isinstance(task, InstanceOffsetTask):
            kind = "instance_offset"
        elif isinstance(task, CrossEntropyTask):
            kind, weights = "cross_entropy", "None"
            if task.class_weights is not None:
                weights = "(" + "".join([f"{weight!r}, " for weight in task.class_weights]) + ")"
            rest = f"{int(task.ignore_index)}, {float(task.label_smoothing)!r}, {weights}"
        lines.append(f"({str(name)!r}, {kind!r}, {task.likelihood!r}, {rest}),")
    return "\n".join(lines)


_written = lru_cache(maxsize=64)(_write)


@lru_cache(maxsize=64)
def read_tasks(text: str) -> tuple[TaskText, ...]:
    """The lines that :func:`write_tasks` has written."""
    return tuple(TaskText(*fields) for fields in ast.literal_eval(f"[{text}]"))


@lru_cache(maxsize=64)
def native_tasks(text: str, device: torch.device) -> NativeTasks:
    """The tasks with class weights on a device: a copy to a GPU waits for it, so it is kept."""
    lines = read_tasks(text)
    class_weights = [
        None
        if line.class_weights is None
        else torch.tensor(line.class_weights, dtype=torch.float64, device=device)
        for line in lines
    ]
    numbers = [
        (
            KINDS.index(line.kind),
            LIKELIHOODS.index(line.likelihood),
            0 if weights is None else weights.data_ptr(),
            line.ignore_index,
            line.label_smoothing,
        )
        for line, weights in zip(lines, class_weights)
    ]
    return NativeTasks(library().LossTasks(numbers), class_weights)
