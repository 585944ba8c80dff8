"""The CUDA kernels of the loss, run on the CPU: against the reference, and under every schedule.

Numerics that only a GPU has (its exp, its fused multiply-add) are not seen here.
"""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from simt_cases import array_of, assert_as_reference, numpy_tasks, run_case, sanitized, with_torch
from simt_harness import (
    ACTIVE_SANITIZER,
    SANITIZERS,
    SCHEDULES,
    call,
    require_simt,
    run_tests_sanitized,
    set_schedule,
)
from simt_loss import build_loss, run_loss

require_simt()


@pytest.fixture(scope="module")
def library() -> ctypes.CDLL:
    return build_loss()


# -- with numpy alone: also under sanitizers -----------------------------------------------------


@pytest.mark.parametrize("layout", ["planar", "interleaved", "odd"])
@pytest.mark.parametrize("extra", [False, True])
def test_the_same_bits_under_every_schedule(library: ctypes.CDLL, layout: str, extra: bool) -> None:
    outcomes = set()
    schedules = SCHEDULES[-1:] if ACTIVE_SANITIZER == "thread" else SCHEDULES
    for schedule in schedules:
        set_schedule(library, schedule)
        tasks, gradients = numpy_tasks(layout, extra)
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


# -- against the reference -----------------------------------------------------------------------


@with_torch
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize("classes", [1, 5, 8, 9, 19, 20, 21, 32, 33])
def test_every_type_and_number_of_classes(library: ctypes.CDLL, dtype: str, classes: int) -> None:
    import torch
    from loss_cases import make_case

    tolerance = {"float64": 1e-10, "float32": 2e-5, "float16": 2e-3, "bfloat16": 2e-2}[dtype]
    case = make_case(2, 4, 24, classes).to(getattr(torch, dtype))
    case.log_variances = case.log_variances.float().detach().requires_grad_()
    assert_as_reference(library, case, tolerance)


@with_torch
@pytest.mark.parametrize("layout", ["planar", "odd", "channels_last", "transposed"])
@pytest.mark.parametrize("label_dtype", ["uint8", "int16", "int32", "int64"])
def test_every_layout_and_label_type(library: ctypes.CDLL, layout: str, label_dtype: str) -> None:
    import torch
    from loss_cases import make_case

    width = {"planar": 16, "channels_last": 20}.get(layout, 19)
    case = make_case(3, 5, width, label_dtype=getattr(torch, label_dtype))
    for dtype in (torch.float32, torch.float64):
        laid_out = case.to(dtype)
        for name, tensor in laid_out.predictions.items():
            if layout == "channels_last":
                tensor = tensor.detach().contiguous(memory_format=torch.channels_last)
            if layout == "transposed":
                tensor = tensor.detach().transpose(2, 3).contiguous().transpose(2, 3)
            laid_out.predictions[name] = tensor
        assert_as_reference(library, laid_out, 1e-10 if dtype == torch.float64 else 2e-5)


@with_torch
@pytest.mark.parametrize("likelihood", ["softmax", "scaled_softmax"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("fixed", [False, True])
def test_every_option(
    library: ctypes.CDLL, likelihood: str, weighted: bool, smoothing: float, fixed: bool
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
    case = make_case(2, 4, 16, semantic=task, l1_likelihood="laplace", channels=3, fixed=fixed)
    values = case.targets["depth"]
    case.targets["depth"] = (values, torch.rand(2, 4, 16) < 0.7)
    assert_as_reference(library, case, 1e-10)
    single = case.to(torch.float32)
    assert_as_reference(library, single, 2e-5)
    logits = single.predictions["semantic"].detach()
    single.predictions["semantic"] = with_layout(logits, "channels_last").requires_grad_()
    assert_as_reference(library, single, 2e-5)


@with_torch
@pytest.mark.parametrize("s", [(-10.0, 10.0, 9.5), (10.0, -10.0, -10.5), (10.5, -10.5, -10.0)])
def test_log_variances_at_and_beyond_their_bounds(
    library: ctypes.CDLL, s: tuple[float, float, float]
) -> None:
    import torch
    from loss_cases import make_case

    case = make_case(1, 3, 8)
    case.log_variances = torch.tensor(s, dtype=torch.float64, requires_grad=True)
    assert_as_reference(library, case, 1e-10)
    assert_as_reference(library, case.to(torch.float32), 2e-5)


@with_torch
@pytest.mark.slow
@pytest.mark.parametrize("layout", ["planar", "channels_last", "transposed"])
def test_more_images_than_rows_of_the_grid(library: ctypes.CDLL, layout: str) -> None:
    """More blocks, too, than the threads that add up their sums."""
    import torch
    from loss_cases import make_case, with_layout

    from mtl_cuda.tasks import CrossEntropyTask

    semantic = CrossEntropyTask(3, class_weights=(0.5, 2.0, 1.0))
    case = make_case(4099, 2, 2, 3, semantic=semantic, channels=2, fixed=True)
    for tensors in (case.predictions, case.targets, case.tasks, case.weights):
        del tensors["instance"]  # its table has 65536 rows per image
    case = case.to(torch.float32)
    for name, tensor in case.predictions.items():
        case.predictions[name] = with_layout(tensor.detach(), layout).requires_grad_()
    assert_as_reference(library, case, 2e-5)


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
    result, gradients = run_case(library, case)
    assert result.total[0] == 0.0
    assert not result.log_variance_gradient.any()
    assert not any(gradient.any() for gradient in gradients)
    result, _ = run_case(library, make_case(0, 3, 8))
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
    result, _ = run_case(library, case)
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
        assert_as_reference(library, case, 1e-10)


@with_torch
def test_centroids(library: ctypes.CDLL) -> None:
    import torch

    from mtl_cuda import reference

    ids = torch.randint(0, 7, (3, 9, 70), generator=torch.Generator().manual_seed(0))
    expected, expected_counts = reference.instance_centroids(ids)
    size = np.zeros(1, np.int64)
    call(library, "instance_centroids_workspace", 3, size)
    centroids, counts = np.zeros((3, 6, 2), np.float32), np.zeros((3, 6), np.int64)
    numbers = np.array(array_of(ids).numbers(), np.int64)
    call(library, "instance_centroids", numbers, 6, centroids, counts,
         np.zeros(int(size[0]), np.uint8))  # fmt: skip
    np.testing.assert_array_equal(counts, expected_counts)
    np.testing.assert_array_equal(centroids, expected.float())
