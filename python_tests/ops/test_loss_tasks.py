"""The text in which the loss's op takes its tasks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loss_cases import make_case

from mtl_cuda.ops.loss_tasks import read_tasks, write_tasks
from mtl_cuda.tasks import CrossEntropyTask, InstanceOffsetTask, L1Task, Task

shares = st.floats(0.0, 1.0)


@given(
    name=st.text(),
    ignore_index=st.integers(-(2**63), 2**63 - 1),
    label_smoothing=shares,
    class_weights=st.none() | st.lists(st.floats(0.0, 1e300), min_size=3, max_size=3),
)
def test_what_is_written_is_read(
    name: str,
    ignore_index: int,
    label_smoothing: float,
    class_weights: list[float] | None,
) -> None:
    task = CrossEntropyTask(3, ignore_index, class_weights, label_smoothing, "scaled_softmax")
    tasks: dict[str, Task] = {
        name: task,
        name + "'": InstanceOffsetTask("laplace"),
        name + "\n": L1Task(4),
    }
    first, second, third = read_tasks(write_tasks(tasks))
    weights = None if class_weights is None else tuple(class_weights)
    assert first == (
        name, "cross_entropy", "scaled_softmax", ignore_index, label_smoothing, weights
    )  # fmt: skip
    assert second[:3] == (name + "'", "instance_offset", "laplace")
    assert third[:3] == (name + "\n", "l1", "gaussian")


def test_numbers_of_numpy() -> None:
    task = CrossEntropyTask(2, np.int64(3), np.array([0.5, 1.5]), np.float32(0.5))  # type: ignore[arg-type]
    (line,) = read_tasks(write_tasks({"a": task}))
    assert line[3:] == (3, 0.5, (0.5, 1.5))


def test_names_of_any_kind_in_messages() -> None:
    case = make_case(dtype=torch.float32)
    name = "it's\n'semantic'"
    for mapping in (case.predictions, case.targets, case.tasks):
        mapping[name] = mapping.pop("semantic")
    case.log_variances = torch.zeros(3)
    case.targets[name][0, 0, 0] = 77
    with pytest.raises(ValueError, match="got 77 at image 0, row 0, column 0") as caught:
        case.fused()
    assert repr(name) in str(caught.value)
