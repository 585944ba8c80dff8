"""The loss on a CUDA device against the float64 reference on the CPU."""

from __future__ import annotations

import pytest
import torch
from gpu_device import DEVICE, assert_matches_reference, cuda_only
from loss_cases import LossCase, make_case, with_layout
from torch import Tensor

from mtl_cuda.tasks import CrossEntropyTask

pytestmark = pytest.mark.gpu

DTYPES = [torch.float32, torch.float16, torch.bfloat16, torch.float64]
LAYOUTS = ["contiguous", "channels_last", "transposed", "expanded", "sliced", "offset by one"]
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
}


def in_type(case: LossCase, dtype: torch.dtype) -> LossCase:
    """On the device, predictions and values of the type; log-variances of at least float32."""
    moved = case.to(dtype).to(DEVICE)
    if moved.log_variances is not None and dtype.itemsize < 4:
        moved.log_variances = moved.log_variances.detach().float().requires_grad_()
    return moved


def laid_out(case: LossCase, layout: str) -> LossCase:
    for name, tensor in case.predictions.items():
        case.predictions[name] = with_layout(tensor.detach(), layout).requires_grad_()
    return case


def tensor_target(case: LossCase, name: str) -> Tensor:
    target = case.targets[name]
    assert isinstance(target, Tensor)
    return target


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", ["contiguous", "channels_last", "transposed"])
@pytest.mark.parametrize("classes", [5, 19, 32])
def test_every_kernel(dtype: torch.dtype, layout: str, classes: int) -> None:
    """The fast paths for planes and for interleaved channels, and the general one.

    Small, and checked on the CPU alone: the selection that runs under compute-sanitizer.
    """
    case = make_case(2, 8, 40, classes, label_dtype=torch.uint8)
    assert_matches_reference(laid_out(in_type(case, dtype), layout))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("semantic", SEMANTIC_TASKS.values(), ids=list(SEMANTIC_TASKS))
@pytest.mark.parametrize("l1_likelihood", ["gaussian", "laplace"])
@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
def test_every_likelihood(
    dtype: torch.dtype, semantic: CrossEntropyTask, l1_likelihood: str, layout: str
) -> None:
    case = make_case(2, 12, 40, semantic=semantic, l1_likelihood=l1_likelihood)
    assert_matches_reference(laid_out(in_type(case, dtype), layout))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("width", [40, 37])
def test_every_layout(dtype: torch.dtype, layout: str, width: int) -> None:
    assert_matches_reference(laid_out(in_type(make_case(2, 12, width), dtype), layout))


@pytest.mark.parametrize("layout", ["transposed", "sliced"])
def test_layouts_of_targets(layout: str) -> None:
    case = in_type(make_case(2, 12, 40, channels=3), torch.float32)
    for name in ("semantic", "instance"):
        case.targets[name] = with_layout(tensor_target(case, name)[:, None], layout)[:, 0]
    values = with_layout(tensor_target(case, "depth"), layout)
    mask = torch.rand(2, 12, 40, generator=torch.Generator().manual_seed(1)) < 0.5
    case.targets["depth"] = (values, with_layout(mask.to(DEVICE)[:, None], layout)[:, 0])
    assert_matches_reference(case)


@pytest.mark.parametrize("label_dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
@pytest.mark.parametrize("layout", ["contiguous", "channels_last", "transposed"])
def test_every_label_type(label_dtype: torch.dtype, layout: str) -> None:
    case = make_case(2, 12, 40, label_dtype=label_dtype)
    assert_matches_reference(laid_out(in_type(case, torch.float32), layout))


@pytest.mark.parametrize("classes", [1, 2, 8, 9, 16, 20, 21, 33, 150, 1000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
def test_number_of_classes(classes: int, dtype: torch.dtype, layout: str) -> None:
    case = make_case(1, 6, 40, classes, label_dtype=torch.int32)
    assert_matches_reference(laid_out(in_type(case, dtype), layout))


@pytest.mark.parametrize("seed", range(20))
def test_any_shape(seed: int) -> None:
    batch, height, width, classes = (
        int(torch.randint(1, top, (), generator=torch.Generator().manual_seed(seed + 99 * i)))
        for i, top in enumerate((4, 13, 71, 31))
    )
    assert_matches_reference(in_type(make_case(batch, height, width, classes), torch.float32))


@pytest.mark.parametrize("dtype", DTYPES)
def test_more_pixels_than_one_turn_of_the_grid(dtype: torch.dtype) -> None:
    """Rows beyond the counting grid, and several turns of each loop."""
    assert_matches_reference(in_type(make_case(2, 700, 260), dtype))


def test_fixed_weights() -> None:
    assert_matches_reference(in_type(make_case(2, 12, 40, fixed=True), torch.float32))


@pytest.mark.parametrize("s", [-30.0, -10.0, 10.0, 30.0, float("nan")])
def test_extreme_log_variances(s: float) -> None:
    case = in_type(make_case(2, 12, 40), torch.float64)
    case.log_variances = torch.full((3,), s, dtype=torch.float64, device=DEVICE).requires_grad_()
    assert_matches_reference(case)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("task", ["semantic", "instance", "depth"])
def test_non_finite_predictions(bad: float, task: str) -> None:
    for place in range(10):
        case = make_case(1, 5, 16, seed=place)
        flat = case.predictions[task].detach().flatten()
        flat[place * 7 % flat.numel()] = bad
        case.predictions[task] = flat.view(case.predictions[task].shape).requires_grad_()
        assert_matches_reference(in_type(case, torch.float64))


def test_float16_keeps_small_gradients_under_a_loss_scale() -> None:
    """1/N alone would flush them: 2**20 pixels, a nearly certain softmax."""
    logits = torch.zeros(1, 2, 1024, 1024, dtype=torch.float16, device=DEVICE)
    logits[:, 0] = 5.0
    case = LossCase(
        {"semantic": logits.requires_grad_()},
        {"semantic": torch.zeros(1, 1024, 1024, dtype=torch.uint8, device=DEVICE)},
        {"semantic": CrossEntropyTask(2)},
        torch.zeros(1, device=DEVICE, requires_grad=True),
    )
    (case.fused().total * 65536.0).backward()
    expected = 65536.0 / 2**20 / (1.0 + torch.exp(torch.tensor(5.0)))
    assert logits.grad is not None
    torch.testing.assert_close(
        logits.grad[0, 1].cpu(), expected.half().expand(1024, 1024), rtol=2e-3, atol=0.0
    )


@pytest.mark.parametrize("shape", [(0, 12, 40), (2, 0, 40), (2, 12, 0)])
def test_no_pixels(shape: tuple[int, int, int]) -> None:
    batch, height, width = shape
    assert_matches_reference(in_type(make_case(batch, height, width), torch.float32))


@pytest.mark.parametrize("dtype", DTYPES)
def test_nothing_valid(dtype: torch.dtype) -> None:
    case = make_case(2, 12, 40)
    tensor_target(case, "semantic").fill_(255)
    tensor_target(case, "instance").fill_(0)
    tensor_target(case, "depth").fill_(torch.nan)
    case = in_type(case, dtype)
    terms = case.fused()
    assert terms.total.item() == 0.0
    assert terms.valid.tolist() == [0, 0, 0]
    for gradient in torch.autograd.grad(terms.total, case.inputs):
        assert not gradient.any()


@cuda_only
def test_mixed_devices_are_refused() -> None:
    case = make_case(dtype=torch.float32)
    case.predictions["depth"] = case.predictions["depth"].detach().to(DEVICE)
    with pytest.raises(ValueError, match="predictions"):
        case.fused()
