"""The loss of low-resolution predictions on a CUDA device."""

from __future__ import annotations

import pytest
import torch
from gpu_device import DEVICE, assert_matches_reference, cuda_only, results
from loss_cases import LossCase, make_case, with_layout
from torch import Tensor

from mtl_cuda.functional import multi_task_loss
from mtl_cuda.tasks import CrossEntropyTask

pytestmark = pytest.mark.gpu

DTYPES = [torch.float32, torch.float16, torch.bfloat16, torch.float64]
WEIGHTS = (0.5, 2.0, 0.0, 1.0, 3.0)
SEMANTIC_TASKS = {
    "plain": CrossEntropyTask(5),
    "weights and smoothing": CrossEntropyTask(5, class_weights=WEIGHTS, label_smoothing=0.3),
    "scaled": CrossEntropyTask(5, likelihood="scaled_softmax"),
}
SIZES = [
    ((16, 32), (128, 256)),
    ((16, 32), (64, 128)),
    ((1, 1), (8, 8)),
    ((7, 129), (56, 1032)),
    ((25, 37), (111, 301)),
    ((160, 333), (90, 120)),
]


def in_type(case: LossCase, dtype: torch.dtype) -> LossCase:
    """On the device, predictions and values of the type; log-variances of at least float32."""
    moved = case.to(dtype).to(DEVICE)
    if moved.log_variances is not None and dtype.itemsize < 4:
        moved.log_variances = moved.log_variances.detach().float().requires_grad_()
    return moved


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("full", [(16, 40), (8, 20), (15, 41)])
def test_every_kernel(dtype: torch.dtype, full: tuple[int, int]) -> None:
    """Ratios of 8 and 4 and a fraction; small: the selection for compute-sanitizer."""
    assert_matches_reference(in_type(make_case(2, *full, 19, low=(2, 5)), dtype))


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(("low", "full"), SIZES)
def test_every_geometry(low: tuple[int, int], full: tuple[int, int], align_corners: bool) -> None:
    case = make_case(2, *full, low=low, align_corners=align_corners)
    assert_matches_reference(in_type(case, torch.float64))
    assert_matches_reference(in_type(case, torch.float32))


@pytest.mark.parametrize("semantic", SEMANTIC_TASKS.values(), ids=list(SEMANTIC_TASKS))
@pytest.mark.parametrize("layout", ["contiguous", "channels_last", "transposed", "sliced"])
def test_every_likelihood_and_layout(semantic: CrossEntropyTask, layout: str) -> None:
    case = make_case(2, 64, 96, semantic=semantic, l1_likelihood="laplace", low=(8, 12))
    case = in_type(case, torch.float32)
    for name, tensor in case.predictions.items():
        case.predictions[name] = with_layout(tensor.detach(), layout).requires_grad_()
    assert_matches_reference(case)


@pytest.mark.parametrize("classes", [1, 2, 33, 300])
def test_number_of_classes(classes: int) -> None:
    assert_matches_reference(in_type(make_case(1, 24, 40, classes, low=(3, 5)), torch.float32))


def test_tasks_of_different_resolutions() -> None:
    case = in_type(make_case(2, 64, 96, low=(8, 12)), torch.float32)
    case.predictions["depth"] = torch.randn(2, 1, 64, 96, device=DEVICE).requires_grad_()
    assert_matches_reference(case)


def test_opcheck() -> None:
    case = make_case(2, 6, 8, low=(3, 4), dtype=torch.float32).to(DEVICE)
    torch.library.opcheck(torch.ops.mtl_cuda.multi_task_loss.default, case.op_arguments())


def test_gradcheck() -> None:
    case = make_case(2, 5, 8, low=(2, 4)).to(DEVICE)

    def loss(semantic: Tensor, instance: Tensor, depth: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        predictions = {"semantic": semantic, "instance": instance, "depth": depth}
        terms = LossCase(predictions, case.targets, case.tasks, s).fused()
        return terms.total, terms.losses

    assert torch.autograd.gradcheck(loss, case.inputs)


def test_the_same_bits_in_a_hundred_runs() -> None:
    case = make_case(2, 128, 256, 19, low=(16, 32), dtype=torch.float32).to(DEVICE)
    expected = results(case)
    for _ in range(99):
        assert all(torch.equal(a, b) for a, b in zip(results(case), expected, strict=True))


@cuda_only
def test_the_upsampled_predictions_are_never_written() -> None:
    """Memory beyond the inputs stays below 5 % of one upsampled copy, gradients included."""
    batch, classes, height, width = 2, 19, 512, 1024
    logits = torch.randn(batch, classes, height // 8, width // 8, device=DEVICE).requires_grad_()
    labels = torch.zeros(batch, height, width, dtype=torch.uint8, device=DEVICE)
    tasks = {"semantic": CrossEntropyTask(classes)}

    def step() -> None:
        terms = multi_task_loss(
            {"semantic": logits}, {"semantic": labels}, tasks, weights={"semantic": 1.0}
        )
        torch.autograd.grad(terms.total, [logits])

    step()
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    step()
    peak = torch.cuda.max_memory_allocated() - before
    assert peak < 0.05 * batch * classes * height * width * 4


@cuda_only
def test_more_than_2_to_the_31_interpolated_logits() -> None:
    """A checkerboard of images: each is the same, so the loss is that of one of them."""
    batch, classes, height, width = 32, 19, 2048, 2048
    assert batch * classes * height * width > 2**31
    generator = torch.Generator().manual_seed(0)
    one = torch.randn(1, classes, height // 8, width // 8, generator=generator)
    labels = torch.randint(0, classes, (1, height, width), generator=generator).to(torch.uint8)
    tasks = {"semantic": CrossEntropyTask(classes)}
    outcomes = []
    for copies in (1, batch):
        logits = one.to(DEVICE).repeat(copies, 1, 1, 1).requires_grad_()
        target = labels.to(DEVICE).repeat(copies, 1, 1)
        terms = multi_task_loss(
            {"semantic": logits}, {"semantic": target}, tasks, weights={"semantic": 1.0}
        )
        (gradient,) = torch.autograd.grad(terms.total, [logits])
        outcomes.append((terms.total.detach(), gradient * copies))
    torch.testing.assert_close(outcomes[1][0], outcomes[0][0], rtol=1e-6, atol=0)
    for image in (0, batch // 2, batch - 1):
        torch.testing.assert_close(outcomes[1][1][image], outcomes[0][1][0], rtol=1e-5, atol=1e-9)
