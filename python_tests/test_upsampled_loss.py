"""The loss of low-resolution predictions against interpolation followed by the reference."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loss_cases import LossCase, assert_same, make_case, with_layout

from mtl_cuda.functional import multi_task_loss
from mtl_cuda.tasks import CrossEntropyTask, L1Task

WEIGHTS = (0.5, 2.0, 0.0, 1.0, 3.0)
SEMANTIC_TASKS = {
    "plain": CrossEntropyTask(5),
    "weights and smoothing": CrossEntropyTask(5, class_weights=WEIGHTS, label_smoothing=0.3),
    "scaled": CrossEntropyTask(5, likelihood="scaled_softmax"),
    "ignored class": CrossEntropyTask(5, ignore_index=2),
}
# Prediction and target: whole ratios in the width (and any in the height), ratios of many phases,
# one prediction alone, more than one tile and band, fractions, smaller targets.
SIZES = [
    ((3, 4), (24, 32)),
    ((4, 5), (16, 20)),
    ((5, 8), (80, 128)),
    ((3, 20), (7, 40)),
    ((5, 7), (5, 21)),
    ((2, 3), (50, 192)),
    ((1, 1), (8, 8)),
    ((7, 129), (56, 1032)),
    ((40, 33), (320, 264)),
    ((5, 7), (23, 41)),
    ((9, 300), (17, 611)),
    ((16, 33), (9, 12)),
    ((60, 50), (7, 50)),
]
TYPES = [torch.float32, torch.float16, torch.bfloat16]


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(("low", "full"), SIZES)
def test_every_geometry(low: tuple[int, int], full: tuple[int, int], align_corners: bool) -> None:
    assert_same(make_case(2, *full, low=low, align_corners=align_corners))


@given(
    low=st.tuples(st.integers(1, 9), st.integers(1, 40)),
    full=st.tuples(st.integers(1, 30), st.integers(1, 90)),
    classes=st.integers(1, 30),
    align_corners=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_any_geometry(
    low: tuple[int, int], full: tuple[int, int], classes: int, align_corners: bool, seed: int
) -> None:
    assert_same(make_case(1, *full, classes, seed, low=low, align_corners=align_corners))


@pytest.mark.parametrize("full", [(12, 40), (13, 37)], ids=["whole ratio", "fraction"])
@pytest.mark.parametrize("semantic", SEMANTIC_TASKS.values(), ids=list(SEMANTIC_TASKS))
@pytest.mark.parametrize("l1_likelihood", ["gaussian", "laplace"])
def test_every_likelihood(
    semantic: CrossEntropyTask, l1_likelihood: str, full: tuple[int, int]
) -> None:
    case = make_case(2, *full, semantic=semantic, l1_likelihood=l1_likelihood, low=(3, 10))
    if semantic.ignore_index != 255:
        case.targets["semantic"] = case.targets["semantic"].clamp(max=4)  # type: ignore[union-attr]
    assert_same(case)


@pytest.mark.parametrize("classes", [1, 16, 19, 33, 150, 1000])
@pytest.mark.parametrize("width", [32, 30], ids=["whole ratio", "fraction"])
def test_number_of_classes(classes: int, width: int) -> None:
    assert_same(make_case(1, 7, width, classes, low=(3, 4), label_dtype=torch.int32))


def test_fixed_weights_and_several_channels() -> None:
    assert_same(make_case(2, 16, 24, low=(4, 6), fixed=True, channels=3))


@pytest.mark.parametrize("width", [40, 37], ids=["whole ratio", "fraction"])
def test_tasks_of_different_resolutions(width: int) -> None:
    case = make_case(2, 12, width, low=(3, 10))
    case.predictions["depth"] = torch.randn(2, 1, 12, width, dtype=torch.float64).requires_grad_()
    case.predictions["instance"] = torch.randn(2, 2, 6, 5, dtype=torch.float64).requires_grad_()
    assert_same(case)


@pytest.mark.parametrize("width", [40, 37], ids=["whole ratio", "fraction"])
@pytest.mark.parametrize(
    "layout", ["channels_last", "transposed", "expanded", "sliced", "offset by one"]
)
def test_layouts_of_predictions(layout: str, width: int) -> None:
    case = make_case(2, 12, width, low=(3, 10))
    for name, prediction in case.predictions.items():
        case.predictions[name] = with_layout(prediction.detach(), layout).requires_grad_()
    assert_same(case)


@pytest.mark.parametrize("width", [40, 37], ids=["whole ratio", "fraction"])
def test_layouts_of_targets(width: int) -> None:
    case = make_case(2, 12, width, low=(3, 10))
    for name in ("semantic", "instance"):
        target = case.targets[name]
        assert isinstance(target, torch.Tensor)
        case.targets[name] = target.transpose(1, 2).contiguous().transpose(1, 2)
    depth = case.targets["depth"]
    assert isinstance(depth, torch.Tensor)
    mask = torch.rand(2, width, 12).transpose(1, 2) < 0.7
    case.targets["depth"] = (depth.flip(3).contiguous().flip(3)[:, :, :, :], mask)
    assert_same(case)


def _errors(case: LossCase, exact: LossCase) -> tuple[float, float]:
    """Largest relative errors of the gradients against float64: ours and PyTorch's."""
    wanted = torch.autograd.grad(exact.reference().total, exact.inputs)
    errors = []
    for terms in (case.fused(), case.reference()):
        given = torch.autograd.grad(terms.total, case.inputs)
        errors.append(max(float((g.double() - w).norm() / w.norm()) for g, w in zip(given, wanted)))
    return errors[0], errors[1]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("low", [(8, 16), (6, 15)])
def test_precision(dtype: torch.dtype, align_corners: bool, low: tuple[int, int]) -> None:
    case = make_case(2, 64, 128, 19, low=low, align_corners=align_corners, dtype=dtype)
    if dtype != torch.float32:
        assert case.log_variances is not None
        case.log_variances = case.log_variances.detach().float().requires_grad_()
    ours, theirs = _errors(case, case.to(torch.float64))
    assert ours <= 1.2 * theirs + 1e-7


def test_small_gradients_survive_in_float16() -> None:
    case = make_case(2, 512, 512, low=(64, 64), dtype=torch.float16)
    assert case.log_variances is not None
    case.log_variances = case.log_variances.detach().float().requires_grad_()
    logits = case.predictions["semantic"]
    (given,) = torch.autograd.grad(65536 * case.fused().total, [logits])
    exact = case.to(torch.float64)
    (wanted,) = torch.autograd.grad(exact.reference().total, [exact.predictions["semantic"]])
    torch.testing.assert_close(given.double() / 65536, wanted, rtol=2e-3, atol=1e-10)


@pytest.mark.parametrize("align_corners", [False, True])
def test_the_same_bits_for_any_number_of_threads(align_corners: bool) -> None:
    case = make_case(2, 320, 264, low=(40, 33), align_corners=align_corners, dtype=torch.float32)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3, 7):
            torch.set_num_threads(threads)
            terms = case.fused()
            results.append([terms.total, *torch.autograd.grad(terms.total, case.inputs)])
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other))


@pytest.mark.parametrize("width", [32, 30], ids=["whole ratio", "fraction"])
def test_a_masked_class(width: int) -> None:
    """A class whose logits are all -inf has probability 0, no gradient, and spoils nothing."""
    case = make_case(1, 24, width, low=(3, 4))
    labels = case.targets["semantic"]
    assert isinstance(labels, torch.Tensor)
    labels[labels == 2] = 255
    logits = case.predictions["semantic"].detach().clone()
    logits[:, 2] = -torch.inf
    case.predictions["semantic"] = logits.requires_grad_()
    terms = case.fused()
    (gradient,) = torch.autograd.grad(terms.total, [logits])
    assert terms.total.isfinite()
    assert gradient.isfinite().all()
    assert not gradient[:, 2].any()
    assert gradient[:, :2].abs().min() > 0


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_bad_numbers_show_where_they_act(value: float) -> None:
    """Not at row and column 1: there F.interpolate lets it into the border, with a weight of 0."""
    case = make_case(1, 24, 32, low=(3, 4), classes=3)
    case.predictions["semantic"].detach()[0, 1, 2, 0] = value
    case.predictions["instance"].detach()[0, 0, 2, 3] = value
    case.predictions["depth"].detach()[0, 0, 0, 2] = value
    assert_same(case)


def test_nothing_valid() -> None:
    case = make_case(2, 24, 32, low=(3, 4))
    labels = case.targets["semantic"]
    assert isinstance(labels, torch.Tensor)
    case.targets["semantic"] = torch.full_like(labels, 255)
    case.predictions["semantic"].detach()[:] = torch.nan
    terms = case.fused()
    (gradient,) = torch.autograd.grad(terms.total, [case.predictions["semantic"]])
    assert terms.total.isfinite()
    assert terms.losses[0] == 0
    assert terms.valid[0] == 0
    assert torch.equal(gradient, torch.zeros_like(gradient))


@pytest.mark.parametrize(
    ("batch", "full"), [(0, (24, 32)), (2, (0, 32)), (2, (24, 0)), (2, (0, 0))]
)
def test_empty_targets(batch: int, full: tuple[int, int]) -> None:
    case = make_case(batch, *full, low=(3, 4))
    gradients = torch.autograd.grad(case.fused().total, case.inputs)
    assert case.fused().total == 0
    assert not any(gradient.any() for gradient in gradients)


def test_predictions_without_a_pixel_are_refused() -> None:
    prediction, target = torch.zeros(1, 1, 0, 4), torch.zeros(1, 1, 8, 32)
    with pytest.raises(ValueError, match=r"targets\['depth'\].*cannot be interpolated"):
        multi_task_loss(
            {"depth": prediction}, {"depth": target}, {"depth": L1Task()}, None, {"depth": 1}
        )


def test_without_gradients() -> None:
    case = make_case(2, 24, 32, low=(3, 4))
    with torch.no_grad():
        without = case.fused()
    assert torch.equal(without.losses, case.fused().losses)
    assert not without.total.requires_grad


def test_predictions_are_not_written_to() -> None:
    case = make_case(2, 24, 32, low=(3, 4))
    before = [tensor.detach().clone() for tensor in case.inputs]
    case.fused().total.backward()
    assert all(torch.equal(a, b) for a, b in zip(before, case.inputs))
