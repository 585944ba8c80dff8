"""The CUDA kernels of the loss, run on the CPU: against the reference, and under every schedule.

Numerics that only a GPU has (its exp, its fused multiply-add) are not seen here.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import numpy as np
import pytest
from simt_harness import (
    ACTIVE_SANITIZER,
    SANITIZERS,
    SCHEDULES,
    Schedule,
    call,
    require_simt,
    run_tests_sanitized,
    set_schedule,
)
from simt_loss import Array, SimtResult, SimtTask, build_loss, run_loss

if TYPE_CHECKING:
    from loss_cases import LossCase

require_simt()
with_torch = pytest.mark.skipif(ACTIVE_SANITIZER is not None, reason="torch has no sanitizer build")
sanitized = pytest.mark.skipif(ACTIVE_SANITIZER is not None, reason="runs under it already")


@pytest.fixture(scope="module")
def library() -> ctypes.CDLL:
    return build_loss()


# -- with numpy alone: also under sanitizers -----------------------------------------------------


def _numpy_tasks(layout: str, extra: bool) -> tuple[list[SimtTask], list[np.ndarray]]:
    """Three tasks in float32 and their gradients, full of garbage."""
    rng = np.random.default_rng(3)
    batch, classes, height, width = 2, 5, 6, 40 if layout == "planar" else 37

    def laid_out(channels: int) -> np.ndarray:
        if layout == "interleaved":
            base = rng.normal(size=(batch, height, width, channels)).astype(np.float32)
            return base.transpose(0, 3, 1, 2)
        return rng.normal(size=(batch, channels, height, width)).astype(np.float32)

    labels = rng.integers(0, classes, (batch, height, width)).astype(np.uint8)
    labels[rng.random(labels.shape) < 0.2] = 255
    ids = rng.integers(0, 3, (batch, height, width)).astype(np.int32)
    depth = rng.normal(size=(batch, 1, height, width)).astype(np.float32)
    depth[rng.random(depth.shape) < 0.2] = np.nan
    mask = rng.random((batch, height, width)) < 0.7
    predictions = [laid_out(channels) for channels in (classes, 2, 1)]
    gradients = [np.full_like(prediction, np.nan) for prediction in predictions]
    given = [Array.of(prediction) for prediction in predictions]
    wanted = [Array.of(gradient) for gradient in gradients]
    variances = np.array([0.3, -0.2, 1.0], np.float32)
    semantic = SimtTask(
        "cross_entropy",
        "scaled_softmax" if extra else "softmax",
        given[0],
        Array.of(labels),
        gradient=wanted[0],
        class_weights=np.linspace(0.5, 2, classes) if extra else None,
        label_smoothing=0.1 if extra else 0.0,
        log_variance=variances[0:1],
    )
    instance = SimtTask("instance_offset", "laplace", given[1], Array.of(ids), gradient=wanted[1])
    instance.log_variance = variances[1:2]
    inverse_depth = SimtTask("l1", "gaussian", given[2], Array.of(depth), gradient=wanted[2])
    inverse_depth.mask, inverse_depth.log_variance = Array.of(mask), variances[2:3]
    return [semantic, instance, inverse_depth], gradients


@pytest.mark.parametrize("layout", ["planar", "interleaved", "odd"])
@pytest.mark.parametrize("extra", [False, True])
def test_the_same_bits_under_every_schedule(library: ctypes.CDLL, layout: str, extra: bool) -> None:
    outcomes = set()
    schedules = SCHEDULES[-1:] if ACTIVE_SANITIZER == "thread" else SCHEDULES
    for schedule in schedules:
        set_schedule(library, schedule)
        tasks, gradients = _numpy_tasks(layout, extra)
        result = run_loss(library, tasks, in_double=False)
        assert np.isfinite(result.total).all()
        assert all(np.isfinite(gradient).all() for gradient in gradients)
        arrays = [result.total, result.losses, result.log_variance_gradient, *gradients]
        outcomes.add(b"".join(array.tobytes() for array in arrays))
    assert len(outcomes) == 1


def test_the_number_of_launches(library: ctypes.CDLL) -> None:
    """Three tasks: count, prepare, one kernel each, finish. Seven tasks: two groups."""
    tasks, _ = _numpy_tasks("planar", extra=False)
    for given, launches in ((tasks, 6), ([*tasks, *tasks, tasks[0]], 2 + 2 + 7 + 2)):
        before = library.simt_launches()
        run_loss(library, given, in_double=False)
        assert library.simt_launches() - before == launches


@sanitized
@pytest.mark.parametrize("sanitizer", SANITIZERS)
def test_under_sanitizers(sanitizer: str) -> None:
    run_tests_sanitized(__file__, sanitizer, "same_bits")


# -- against the reference -----------------------------------------------------------------------


def _array(tensor: object) -> Array:
    from mtl_cuda.native import view

    address, code, shape, strides = view(tensor)  # type: ignore[arg-type]
    return Array(address, code, shape, strides, tensor)


def _run_case(library: ctypes.CDLL, case: LossCase) -> tuple[SimtResult, list[object]]:
    """The kernels on a case of the loss's own tests; gradients as stored."""
    import torch

    from mtl_cuda.tasks import CrossEntropyTask, InstanceOffsetTask

    gradients = [torch.full_like(p, torch.nan) for p in case.predictions.values()]
    tasks = []
    for i, (name, task) in enumerate(case.tasks.items()):
        target, mask = case.targets[name], None
        if isinstance(target, tuple):
            target, mask = target
        kind = "l1"
        if isinstance(task, CrossEntropyTask):
            kind = "cross_entropy"
        elif isinstance(task, InstanceOffsetTask):
            kind = "instance_offset"
        likelihood = "fixed" if case.weights else task.likelihood
        simt = SimtTask(kind, likelihood, _array(case.predictions[name].detach()), _array(target))
        simt.mask = None if mask is None else _array(mask)
        simt.gradient, simt.align_corners = _array(gradients[i]), case.align_corners
        if case.weights:
            simt.fixed_weight = case.weights[name]
        if case.log_variances is not None:
            simt.log_variance = case.log_variances.detach().numpy()[i : i + 1]
        if isinstance(task, CrossEntropyTask):
            simt.ignore_index, simt.label_smoothing = task.ignore_index, task.label_smoothing
            if task.class_weights is not None:
                simt.class_weights = np.array(task.class_weights, np.float64)
        tasks.append(simt)
    in_double = any(p.dtype == torch.float64 for p in case.predictions.values())
    return run_loss(library, tasks, in_double), gradients


def _assert_as_reference(library: ctypes.CDLL, case: LossCase, tolerance: float) -> None:
    import torch

    set_schedule(library, Schedule("random", seed=7, poison=0xFF, workers=2))
    result, gradients = _run_case(library, case)
    exact = case.to(torch.float64)
    expected = exact.reference()
    compare = {"rtol": tolerance, "atol": tolerance, "equal_nan": True}
    np.testing.assert_allclose(result.total[0], expected.total.item(), **compare)
    np.testing.assert_allclose(result.losses, expected.losses.detach(), **compare)
    np.testing.assert_array_equal(result.valid, expected.valid)
    wanted = torch.autograd.grad(expected.total, exact.inputs, allow_unused=True)
    for i, gradient in enumerate(gradients):
        given = gradient.double() * (result.weights[i] / result.gradient_scales[i])
        reference = torch.zeros_like(given) if wanted[i] is None else wanted[i]
        atol = tolerance * max(1.0, reference.nan_to_num().abs().max().item())
        torch.testing.assert_close(
            given, reference, rtol=tolerance, atol=atol, equal_nan=True, check_dtype=False
        )
    if case.log_variances is not None:
        np.testing.assert_allclose(result.log_variance_gradient, wanted[-1], **compare)


@with_torch
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize("classes", [1, 5, 8, 19, 20, 32, 40])
def test_every_type_and_number_of_classes(library: ctypes.CDLL, dtype: str, classes: int) -> None:
    import torch
    from loss_cases import make_case

    tolerance = {"float64": 1e-10, "float32": 2e-5, "float16": 2e-3, "bfloat16": 2e-2}[dtype]
    case = make_case(2, 4, 24, classes).to(getattr(torch, dtype))
    case.log_variances = case.log_variances.float().detach().requires_grad_()
    _assert_as_reference(library, case, tolerance)


@with_torch
@pytest.mark.parametrize("layout", ["planar", "odd", "channels_last", "transposed"])
@pytest.mark.parametrize("label_dtype", ["uint8", "int16", "int32", "int64"])
def test_every_layout_and_label_type(library: ctypes.CDLL, layout: str, label_dtype: str) -> None:
    import torch
    from loss_cases import make_case

    case = make_case(
        3, 5, 16 if layout == "planar" else 19, label_dtype=getattr(torch, label_dtype)
    )
    for dtype in (torch.float32, torch.float64):
        laid_out = case.to(dtype)
        for name, tensor in laid_out.predictions.items():
            if layout == "channels_last":
                tensor = tensor.detach().contiguous(memory_format=torch.channels_last)
            if layout == "transposed":
                tensor = tensor.detach().transpose(2, 3).contiguous().transpose(2, 3)
            laid_out.predictions[name] = tensor
        _assert_as_reference(library, laid_out, 1e-10 if dtype == torch.float64 else 2e-5)


@with_torch
@pytest.mark.parametrize("likelihood", ["softmax", "scaled_softmax"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("fixed", [False, True])
def test_every_option(
    library: ctypes.CDLL, likelihood: str, weighted: bool, smoothing: float, fixed: bool
) -> None:
    import torch
    from loss_cases import make_case

    from mtl_cuda.tasks import CrossEntropyTask

    task = CrossEntropyTask(
        5,
        class_weights=(0.5, 2.0, 0.0, 1.0, 3.0) if weighted else None,
        label_smoothing=smoothing,
        likelihood=likelihood,
    )
    case = make_case(2, 4, 16, semantic=task, l1_likelihood="laplace", channels=3, fixed=fixed)
    values = case.targets["depth"]
    case.targets["depth"] = (values, torch.rand(2, 4, 16) < 0.7)
    _assert_as_reference(library, case, 1e-10)
    _assert_as_reference(library, case.to(torch.float32), 2e-5)


@with_torch
def test_nothing_valid_and_empty_batches(library: ctypes.CDLL) -> None:
    import torch
    from loss_cases import make_case

    case = make_case(2, 3, 8)
    case.targets = {
        "semantic": torch.full((2, 3, 8), 255),
        "instance": torch.zeros(2, 3, 8, dtype=torch.int32),
        "depth": torch.full((2, 1, 3, 8), torch.nan),
    }
    result, gradients = _run_case(library, case)
    assert result.total[0] == 0.0
    assert not result.log_variance_gradient.any()
    assert not any(gradient.any() for gradient in gradients)
    result, _ = _run_case(library, make_case(0, 3, 8))
    assert result.total[0] == 0.0


@with_torch
@pytest.mark.parametrize(("task", "value"), [("semantic", 5), ("semantic", -1), ("instance", -2),
                                             ("instance", 70000), ("semantic", 2**40)])  # fmt: skip
def test_a_bad_label_makes_the_loss_nan_and_is_never_an_index(
    library: ctypes.CDLL, task: str, value: int
) -> None:
    from loss_cases import make_case

    case = make_case(2, 4, 16)
    case.targets[task][1, 2, 3] = value
    result, _ = _run_case(library, case)
    assert np.isnan(result.total[0])
    assert np.isnan(result.losses).tolist() == [name == task for name in case.tasks]


@with_torch
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_non_finite_logits_as_the_reference(library: ctypes.CDLL, bad: float) -> None:
    from loss_cases import make_case

    for width in (16, 13):
        case = make_case(1, 4, width)
        for name, tensor in case.predictions.items():
            flat = tensor.detach().flatten()
            flat[::17] = bad
            case.predictions[name] = flat.view(tensor.shape)
        _assert_as_reference(library, case, 1e-10)


@with_torch
def test_centroids(library: ctypes.CDLL) -> None:
    import torch

    from mtl_cuda import reference

    ids = torch.randint(0, 7, (3, 9, 70), generator=torch.Generator().manual_seed(0))
    expected, expected_counts = reference.instance_centroids(ids)
    size = np.zeros(1, np.int64)
    call(library, "instance_centroids_workspace", 3, size)
    centroids, counts = np.zeros((3, 6, 2), np.float32), np.zeros((3, 6), np.int64)
    numbers = np.array(_array(ids).numbers(), np.int64)
    call(library, "instance_centroids", numbers, 6, centroids, counts,
         np.zeros(int(size[0]), np.uint8))  # fmt: skip
    np.testing.assert_array_equal(counts, expected_counts)
    np.testing.assert_array_equal(centroids, expected.float())
