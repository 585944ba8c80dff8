"""Which kernels a step launches: the fastest that reads the layout; without gradients, those that
write none."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from simt_cases import numpy_tasks
from simt_harness import Schedule, kernels_since, require_simt, set_schedule
from simt_loss import Array, SimtTask, build_loss, run_loss

require_simt()


@pytest.fixture(scope="module")
def library() -> ctypes.CDLL:
    return build_loss()


def _launched(library: ctypes.CDLL, tasks: list[SimtTask]) -> list[str]:
    set_schedule(library, Schedule())
    before = library.simt_launches()
    run_loss(library, tasks, in_double=False)
    return kernels_since(library, before)


def _cross_entropy(
    classes: int, dtype: str, pixels: int = 16, label_smoothing: float = 0.0
) -> SimtTask:
    logits, gradient = np.zeros((2, 2, classes, 1, pixels), dtype)
    labels = np.zeros((2, 1, pixels), np.uint8)
    task = SimtTask("cross_entropy", "fixed", Array.of(logits), Array.of(labels))
    task.gradient, task.label_smoothing = Array.of(gradient), label_smoothing
    return task


def test_the_launches_of_a_step(library: ctypes.CDLL) -> None:
    """Three tasks: count, prepare, one kernel each, finish. Seven tasks: two groups."""
    tasks, _ = numpy_tasks("planar", extra=False)
    names = _launched(library, tasks)
    expected = ["count_targets", "prepare_tasks", "cross_entropy_vector", "l1_vector", "l1_vector"]
    assert len(names) == 6
    assert all(part in name for part, name in zip([*expected, "finish_tasks"], names))
    assert len(_launched(library, [*tasks, *tasks, tasks[0]])) == 2 + 2 + 7 + 2


@pytest.mark.parametrize(
    ("classes", "kernel"),
    [(1, "Li8E"), (8, "Li8E"), (9, "Li20E"), (20, "Li20E"), (21, "Li32E"), (32, "Li32E")],
)
@pytest.mark.parametrize(("dtype", "code"), [("float32", "f"), ("float16", "6__half")])
def test_planar_logits_wait_in_registers(
    library: ctypes.CDLL, classes: int, kernel: str, dtype: str, code: str
) -> None:
    name = _launched(library, [_cross_entropy(classes, dtype)])[2]
    assert f"cross_entropy_vectorI{code}{kernel}Lb0ELb1E" in name
    name = _launched(library, [_cross_entropy(classes, dtype, label_smoothing=0.1)])[2]
    assert f"cross_entropy_vectorI{code}{kernel}Lb1ELb1E" in name


@pytest.mark.parametrize(("classes", "pixels"), [(33, 16), (32, 17), (32, 18), (1, 2)])
def test_what_no_fast_kernel_reads(library: ctypes.CDLL, classes: int, pixels: int) -> None:
    assert (
        "cross_entropy_general"
        in _launched(library, [_cross_entropy(classes, "float32", pixels)])[2]
    )


@pytest.mark.parametrize("extra", [False, True])
@pytest.mark.parametrize(
    ("layout", "kernels"),
    [
        ("planar", ("cross_entropy_vector", "l1_vector", "l1_vector")),
        ("interleaved", ("cross_entropy_staged", "l1_general", "l1_vector")),
        ("odd", ("cross_entropy_general", "l1_general", "l1_vector")),
    ],
)
def test_the_same_loss_without_gradients(
    library: ctypes.CDLL, layout: str, kernels: tuple[str, ...], extra: bool
) -> None:
    tasks, _ = numpy_tasks(layout, extra)
    expected = run_loss(library, tasks, in_double=True)
    for task in tasks:
        task.gradient = None
    result = run_loss(library, tasks, in_double=True)
    for name in ("total", "losses", "weights", "valid", "log_variance_gradient"):
        np.testing.assert_allclose(getattr(result, name), getattr(expected, name), rtol=1e-6)
    for part, name in zip(kernels, _launched(library, tasks)[2:5]):
        assert part in name
        assert "Lb0EEEv" in name, "a kernel that writes gradients"
