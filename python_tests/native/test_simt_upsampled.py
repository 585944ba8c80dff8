"""The CUDA kernels for low-resolution predictions, run on the CPU."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from simt_cases import assert_as_reference, numpy_tasks, run_case, sanitized, with_torch
from simt_harness import (
    ACTIVE_SANITIZER,
    SANITIZERS,
    SCHEDULES,
    require_simt,
    run_tests_sanitized,
    set_schedule,
)
from simt_loss import Array, SimtTask, build_loss, run_loss

require_simt()
TOLERANCES = {"float64": 1e-10, "float32": 2e-5, "float16": 2e-3, "bfloat16": 2e-2}
# Prediction and target: cells of one row of blocks and of several, more columns than a block has
# threads, more rows than a band has, one prediction alone, fractions, smaller targets.
SIZES = [
    ((3, 4), (24, 32)),
    ((4, 20), (16, 160)),
    ((9, 3), (72, 24)),
    ((2, 3), (50, 192)),
    ((1, 1), (8, 8)),
    ((5, 7), (23, 41)),
    ((3, 150), (17, 311)),
    ((16, 33), (9, 12)),
    ((40, 300), (20, 150)),
    ((4, 4), (4, 16)),
]


@pytest.fixture(scope="module")
def library() -> ctypes.CDLL:
    return build_loss()


def _low_resolution(size: tuple[int, int], extra: bool) -> tuple[list[SimtTask], list[np.ndarray]]:
    """The tasks of the full-size tests with smaller predictions."""
    rng = np.random.default_rng(4)
    tasks, gradients = numpy_tasks("odd", extra)
    for i, task in enumerate(tasks):
        prediction = rng.normal(size=(*task.prediction.shape[:2], *size)).astype(np.float32)
        gradients[i] = np.full_like(prediction, np.nan)
        task.prediction, task.gradient = Array.of(prediction), Array.of(gradients[i])
        task.align_corners = extra
    return tasks, gradients


@pytest.mark.parametrize("size", [(3, 5), (9, 4)])
@pytest.mark.parametrize("extra", [False, True])
def test_the_same_bits_under_every_schedule(
    library: ctypes.CDLL, size: tuple[int, int], extra: bool
) -> None:
    outcomes = set()
    schedules = SCHEDULES[-1:] if ACTIVE_SANITIZER == "thread" else SCHEDULES
    for schedule in schedules:
        set_schedule(library, schedule)
        tasks, gradients = _low_resolution(size, extra)
        result = run_loss(library, tasks, in_double=False)
        assert np.isfinite(result.total).all()
        assert all(np.isfinite(gradient).all() for gradient in gradients)
        arrays = [result.total, result.losses, result.log_variance_gradient, *gradients]
        outcomes.add(b"".join(array.tobytes() for array in arrays))
    assert len(outcomes) == 1


@sanitized
@pytest.mark.parametrize("sanitizer", SANITIZERS)
def test_under_sanitizers(sanitizer: str) -> None:
    run_tests_sanitized(__file__, sanitizer, "same_bits")


@with_torch
@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(("low", "full"), SIZES)
def test_every_geometry(
    library: ctypes.CDLL, low: tuple[int, int], full: tuple[int, int], align_corners: bool
) -> None:
    import torch
    from loss_cases import make_case

    case = make_case(2, *full, low=low, align_corners=align_corners)
    assert_as_reference(library, case, 1e-10)
    assert_as_reference(library, case.to(torch.float32), 2e-5)


@with_torch
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("classes", [1, 4, 19, 40])
@pytest.mark.parametrize("ratio", [4, 8])
def test_every_type_and_number_of_classes(
    library: ctypes.CDLL, dtype: str, classes: int, ratio: int
) -> None:
    import torch
    from loss_cases import make_case

    case = make_case(2, 2 * ratio, 3 * ratio, classes, low=(2, 3)).to(getattr(torch, dtype))
    case.log_variances = case.log_variances.float().detach().requires_grad_()
    assert_as_reference(library, case, TOLERANCES[dtype])


@with_torch
@pytest.mark.parametrize("likelihood", ["softmax", "scaled_softmax"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_every_option(
    library: ctypes.CDLL, likelihood: str, weighted: bool, smoothing: float
) -> None:
    import torch
    from loss_cases import make_case, with_layout

    from mtl_cuda.tasks import CrossEntropyTask

    task = CrossEntropyTask(
        5,
        class_weights=(0.5, 2.0, 0.0, 1.0, 3.0) if weighted else None,
        label_smoothing=smoothing,
        likelihood=likelihood,
    )
    case = make_case(2, 16, 24, semantic=task, l1_likelihood="laplace", channels=3, low=(2, 3))
    values = case.targets["depth"]
    case.targets["depth"] = (values, torch.rand(2, 16, 24) < 0.7)
    for name, tensor in case.predictions.items():
        case.predictions[name] = with_layout(tensor.detach(), "channels_last")
    assert_as_reference(library, case, 1e-10)
    assert_as_reference(library, case.to(torch.float32), 2e-5)


@with_torch
def test_tasks_of_different_resolutions(library: ctypes.CDLL) -> None:
    import torch
    from loss_cases import make_case

    case = make_case(2, 16, 24, low=(2, 3))
    case.predictions["instance"] = torch.randn(2, 2, 16, 24, dtype=torch.float64)
    case.predictions["depth"] = torch.randn(2, 1, 5, 7, dtype=torch.float64)
    assert_as_reference(library, case.to(torch.float64), 1e-10)


@with_torch
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_bad_numbers_show_where_they_act(library: ctypes.CDLL, bad: float) -> None:
    """Not at row and column 1: there F.interpolate lets it into the border, with a weight of 0."""
    from loss_cases import make_case

    case = make_case(1, 24, 32, low=(3, 4), classes=3)
    case.predictions["semantic"].detach()[0, 1, 2, 0] = bad
    case.predictions["instance"].detach()[0, 0, 2, 3] = bad
    case.predictions["depth"].detach()[0, 0, 0, 2] = bad
    assert_as_reference(library, case, 1e-10)


@with_torch
def test_targets_without_a_pixel(library: ctypes.CDLL) -> None:
    from loss_cases import make_case

    for full in ((0, 32), (24, 0)):
        result, gradients = run_case(library, make_case(2, *full, low=(3, 4)))
        assert result.total[0] == 0.0
        assert not any(gradient.any() for gradient in gradients)


@with_torch
@pytest.mark.parametrize(("task", "value"), [("semantic", 5), ("instance", 70000)])
def test_a_bad_label_makes_the_loss_nan(library: ctypes.CDLL, task: str, value: int) -> None:
    from loss_cases import make_case

    case = make_case(2, 16, 24, low=(2, 3))
    case.targets[task][1, 2, 3] = value
    result, gradients = run_case(library, case)
    assert np.isnan(result.losses).tolist() == [name == task for name in case.tasks]
    assert not any(gradient.isnan().any() for gradient in gradients)


@pytest.mark.parametrize("size", [(3, 5), (9, 4)])
def test_without_gradients_nothing_but_the_loss_is_made(
    library: ctypes.CDLL, size: tuple[int, int]
) -> None:
    with_gradients, _ = _low_resolution(size, extra=True)
    expected = run_loss(library, with_gradients, in_double=False)
    without, _ = _low_resolution(size, extra=True)
    for task in without:
        task.gradient = None
    result = run_loss(library, without, in_double=False)
    np.testing.assert_array_equal(result.losses, expected.losses)
    np.testing.assert_array_equal(result.log_variance_gradient, expected.log_variance_gradient)
