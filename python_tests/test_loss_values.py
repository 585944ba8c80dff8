"""The fused loss against its reference in float64: values and all gradients."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loss_cases import LossCase, assert_same, make_case, with_layout

from mtl_cuda.tasks import CrossEntropyTask, InstanceOffsetTask, L1Task

LABEL_DTYPES = [torch.uint8, torch.int16, torch.int32, torch.int64]
WEIGHTS = (0.5, 2.0, 0.0, 1.0, 3.0)
SEMANTIC_TASKS = {
    "plain": CrossEntropyTask(5),
    "weights": CrossEntropyTask(5, class_weights=WEIGHTS),
    "smoothing": CrossEntropyTask(5, label_smoothing=0.1),
    "weights and smoothing": CrossEntropyTask(5, class_weights=WEIGHTS, label_smoothing=0.3),
    "scaled": CrossEntropyTask(5, likelihood="scaled_softmax"),
    "scaled, weights and smoothing": CrossEntropyTask(
        5, class_weights=WEIGHTS, label_smoothing=0.3, likelihood="scaled_softmax"
    ),
    "ignored class": CrossEntropyTask(5, ignore_index=2, class_weights=WEIGHTS),
}


@pytest.mark.parametrize("semantic", SEMANTIC_TASKS.values(), ids=list(SEMANTIC_TASKS))
@pytest.mark.parametrize("l1_likelihood", ["gaussian", "laplace"])
def test_every_likelihood(semantic: CrossEntropyTask, l1_likelihood: str) -> None:
    case = make_case(semantic=semantic, l1_likelihood=l1_likelihood)
    case.targets["semantic"] = case.targets["semantic"].clamp(max=4)  # type: ignore[union-attr]
    if semantic.ignore_index == 255:
        case.targets["semantic"][0, :3] = 255  # type: ignore[index]
    assert_same(case)


@pytest.mark.parametrize("label_dtype", LABEL_DTYPES)
def test_every_label_type(label_dtype: torch.dtype) -> None:
    assert_same(make_case(label_dtype=label_dtype))


def test_fixed_weights() -> None:
    assert_same(make_case(fixed=True))


@pytest.mark.parametrize("classes", [1, 2, 16, 19, 33, 150, 1000])
def test_number_of_classes(classes: int) -> None:
    assert_same(make_case(batch=1, height=5, classes=classes, label_dtype=torch.int32))


@given(
    batch=st.integers(1, 3),
    height=st.integers(1, 12),
    width=st.integers(1, 70),
    classes=st.integers(1, 30),
    channels=st.integers(1, 3),
    seed=st.integers(0, 1000),
)
def test_any_shape(
    batch: int, height: int, width: int, classes: int, channels: int, seed: int
) -> None:
    assert_same(make_case(batch, height, width, classes, seed, channels=channels))


def test_larger_than_one_range_of_pixels() -> None:
    assert_same(make_case(2, 150, 260))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_precision(dtype: torch.dtype) -> None:
    """Errors against float64 of at most twice those of PyTorch's own path."""
    case = make_case(2, 60, 80, 19).to(dtype)
    case.log_variances = case.log_variances.float().detach().requires_grad_()
    exact = case.to(torch.float64)
    exact_terms = exact.reference()
    exact_gradients = torch.autograd.grad(exact_terms.total, exact.inputs)
    own, theirs = case.fused(), case.reference()
    assert (own.total - exact_terms.total).abs() <= 2e-6 * exact_terms.total.abs()
    own_gradients = torch.autograd.grad(own.total, case.inputs)
    their_gradients = torch.autograd.grad(theirs.total, case.inputs)
    for mine, other, true in zip(own_gradients, their_gradients, exact_gradients):
        their_error = (other.double() - true).abs().max()
        floor = torch.finfo(mine.dtype).eps * true.abs().max()
        assert (mine.double() - true).abs().max() <= max(2 * their_error, floor)


def test_float16_keeps_small_gradients_under_a_loss_scale() -> None:
    """1/N alone would flush them: 2**20 pixels, a nearly certain softmax."""
    logits = torch.zeros(1, 2, 1024, 1024, dtype=torch.float16)
    logits[:, 0] = 5.0
    logits.requires_grad_()
    case = LossCase(
        {"semantic": logits},
        {"semantic": torch.zeros(1, 1024, 1024, dtype=torch.uint8)},
        {"semantic": CrossEntropyTask(2)},
        torch.zeros(1, requires_grad=True),
    )
    (case.fused().total * 65536.0).backward()
    expected = 65536.0 / 2**20 * (1 / (1 + torch.exp(torch.tensor(5.0))))
    torch.testing.assert_close(
        logits.grad[0, 1], expected.half().expand(1024, 1024), rtol=2e-3, atol=0.0
    )


@pytest.mark.parametrize(
    "layout", ["channels_last", "transposed", "expanded", "sliced", "offset by one", "flipped rows"]
)
def test_strides(layout: str) -> None:
    case = make_case(2, 12, 20)
    for name, tensor in case.predictions.items():
        case.predictions[name] = with_layout(tensor.detach(), layout).requires_grad_()
    if layout in ("transposed", "sliced"):
        labels = case.targets["semantic"]
        assert isinstance(labels, torch.Tensor)
        case.targets["semantic"] = with_layout(labels[:, None], layout)[:, 0]
    assert_same(case)


def test_channels_last_gradients_keep_the_memory_format() -> None:
    case = make_case(2, 12, 20, dtype=torch.float32)
    leaf = case.predictions["semantic"].detach().contiguous(memory_format=torch.channels_last)
    case.predictions["semantic"] = leaf.requires_grad_()
    (gradient,) = torch.autograd.grad(case.fused().total, [leaf])
    assert gradient.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("task", ["semantic", "instance", "depth"])
def test_non_finite_predictions_as_the_reference(bad: float, task: str) -> None:
    for place in range(50):
        case = make_case(1, 5, 11, seed=place)
        flat = case.predictions[task].detach().flatten()
        flat[place * 7 % flat.numel()] = bad
        case.predictions[task] = flat.view(case.predictions[task].shape).requires_grad_()
        assert_same(case)


def test_infinite_target_is_valid_and_nan_is_not() -> None:
    case = make_case(1, 5, 11)
    depth = case.targets["depth"]
    assert isinstance(depth, torch.Tensor)
    depth[0, 0, 0, 0] = torch.inf
    assert_same(case)
    assert case.fused().losses[2] == torch.inf


def test_mask_of_valid_pixels() -> None:
    case = make_case(channels=3)
    values = case.targets["depth"]
    assert isinstance(values, torch.Tensor)
    case.targets["depth"] = (values, torch.rand(2, 9, 37) < 0.5)
    assert_same(case)


def test_depth_without_a_channel_dimension() -> None:
    case = make_case()
    with_channel = case.fused().total
    depth = case.targets["depth"]
    assert isinstance(depth, torch.Tensor)
    case.targets["depth"] = depth[:, 0]
    assert torch.equal(case.fused().total, with_channel)


def test_zero_is_a_legal_inverse_depth() -> None:
    case = LossCase(
        {"depth": torch.full((1, 1, 2, 2), 0.5, requires_grad=True)},
        {"depth": torch.tensor([[[0.0, torch.nan], [0.0, 1.5]]])},
        {"depth": L1Task()},
        torch.zeros(1),
    )
    terms = case.fused()
    assert terms.valid.item() == 3
    assert terms.losses.item() == pytest.approx((0.5 + 0.5 + 1.0) / 3)


def test_instance_offsets_point_at_the_centroid() -> None:
    """vote = pixel + offset: perfect offsets have no loss, and x comes first."""
    ids = torch.zeros(1, 6, 10, dtype=torch.int32)
    ids[0, 1:4, 2:9] = 1  # centroid (x=5, y=2)
    offsets = torch.zeros(1, 2, 6, 10)
    offsets[0, 0] = 5.0 - torch.arange(10.0)
    offsets[0, 1] = 2.0 - torch.arange(6.0)[:, None]
    case = LossCase(
        {"instance": offsets.requires_grad_()},
        {"instance": ids},
        {"instance": InstanceOffsetTask()},
        torch.zeros(1),
    )
    terms = case.fused()
    assert terms.losses.item() == 0.0
    assert terms.valid.item() == 21


@pytest.mark.parametrize("s", [-30.0, -10.0, 10.0, 30.0, float("nan")])
def test_extreme_log_variances(s: float) -> None:
    case = make_case()
    case.log_variances = torch.full((3,), s, dtype=torch.float64, requires_grad=True)
    assert_same(case)


@pytest.mark.parametrize("likelihood", ["softmax", "gaussian", "laplace"])
def test_optimum_of_the_log_variance(likelihood: str) -> None:
    """Where the derivative in s vanishes, sigma is what docs/maths.md says."""
    task = CrossEntropyTask(5) if likelihood == "softmax" else L1Task(1, likelihood)
    name = "semantic" if likelihood == "softmax" else "depth"
    case = make_case()
    predictions, targets = {name: case.predictions[name]}, {name: case.targets[name]}
    loss = LossCase(predictions, targets, {name: task}, torch.zeros(1)).fused().losses.item()
    variance = {"softmax": 2 * loss, "gaussian": loss, "laplace": loss**2}[likelihood]
    s = torch.tensor([variance], dtype=torch.float64).log().requires_grad_()
    LossCase(predictions, targets, {name: task}, s).fused().total.backward()
    assert s.grad.item() == pytest.approx(0.0, abs=1e-12)
