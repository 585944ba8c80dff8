"""The loss on a CUDA device as an op of PyTorch: derivatives, registration, compilation."""

from __future__ import annotations

import itertools

import pytest
import torch
from gpu_device import DEVICE, assert_matches_reference, results
from loss_cases import LossCase, make_case
from torch import Tensor

import mtl_cuda
from mtl_cuda import functional
from mtl_cuda.tasks import CrossEntropyTask

pytestmark = pytest.mark.gpu

WEIGHTS = (0.5, 2.0, 1.5, 1.0, 3.0)
SEMANTIC_TASKS = {
    "softmax": CrossEntropyTask(5),
    "scaled": CrossEntropyTask(5, likelihood="scaled_softmax"),
    "weights and smoothing": CrossEntropyTask(5, class_weights=WEIGHTS, label_smoothing=0.2),
}
every_task = pytest.mark.parametrize("semantic", SEMANTIC_TASKS.values(), ids=list(SEMANTIC_TASKS))


def on_device(**options: object) -> LossCase:
    """2 x 12 x 40 pixels in float32, or what the options say."""
    return make_case(2, 12, 40, **{"dtype": torch.float32, **options}).to(DEVICE)  # type: ignore[arg-type]


@every_task
@pytest.mark.parametrize("l1_likelihood", ["gaussian", "laplace"])
def test_gradcheck(semantic: CrossEntropyTask, l1_likelihood: str) -> None:
    case = make_case(2, 3, 5, semantic=semantic, l1_likelihood=l1_likelihood).to(DEVICE)

    def loss(semantic: Tensor, instance: Tensor, depth: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        predictions = {"semantic": semantic, "instance": instance, "depth": depth}
        terms = LossCase(predictions, case.targets, case.tasks, s).fused()
        return terms.total, terms.losses

    assert torch.autograd.gradcheck(loss, case.inputs)


@every_task
@pytest.mark.parametrize("fixed", [False, True], ids=["learned", "fixed"])
def test_opcheck(semantic: CrossEntropyTask, fixed: bool) -> None:
    case = on_device(semantic=semantic, fixed=fixed)
    torch.library.opcheck(torch.ops.mtl_cuda.multi_task_loss.default, case.op_arguments())


def test_opcheck_of_the_helpers() -> None:
    gradients = [torch.randn(2, 3, device=DEVICE), torch.randn(4, device=DEVICE).half()]
    factors = torch.tensor([2.0, 0.5], dtype=torch.float64, device=DEVICE)
    torch.library.opcheck(torch.ops.mtl_cuda.scale_gradients.default, (gradients, factors))
    ids = torch.randint(0, 4, (2, 5, 6), device=DEVICE)
    torch.library.opcheck(torch.ops.mtl_cuda.instance_centroids.default, (ids, 3))


@pytest.mark.parametrize("wanted", list(itertools.product([False, True], repeat=4)))
def test_every_combination_of_gradients(wanted: tuple[bool, ...]) -> None:
    case = on_device()
    everything = results(case)[4:]
    for tensor, needed in zip(case.inputs, wanted):
        tensor.requires_grad_(needed)
    total = case.fused().total
    assert total.requires_grad == any(wanted)
    asked = [tensor for tensor, needed in zip(case.inputs, wanted) if needed]
    expected = [gradient for gradient, needed in zip(everything, wanted) if needed]
    for gradient, whole in zip(torch.autograd.grad(total, asked) if asked else (), expected):
        assert torch.equal(gradient, whole)


def test_without_gradients_the_loss_is_the_same() -> None:
    case = on_device()
    with_gradients = case.fused()
    with torch.no_grad():
        without = case.fused()
    for one, other in zip(with_gradients, without):
        assert torch.equal(one, other)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_three_backward_passes(dtype: torch.dtype) -> None:
    case = on_device(dtype=dtype)
    assert case.log_variances is not None
    case.log_variances = case.log_variances.detach().float().requires_grad_()
    total = case.fused().total
    first = torch.autograd.grad(total, case.inputs, retain_graph=True)
    kept = [gradient.clone() for gradient in first]
    for gradient in first:
        gradient.mul_(7.0)  # what a caller does to its gradients is its own affair
    second = torch.autograd.grad(2 * total, case.inputs, retain_graph=True)
    third = torch.autograd.grad(total, case.inputs)
    for one, two, three in zip(kept, second, third):
        assert torch.equal(one, three)
        torch.testing.assert_close(2 * one, two)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_predictions_are_not_written_to(layout: torch.memory_format) -> None:
    case = on_device()
    for name, tensor in case.predictions.items():
        leaf = tensor.detach().contiguous(memory_format=layout)
        case.predictions[name] = leaf.requires_grad_()
    before = [tensor.detach().clone() for tensor in case.inputs]
    case.fused().total.backward()
    for old, tensor in zip(before, case.inputs):
        assert torch.equal(old, tensor)
        assert tensor.grad is not None
        assert tensor.grad.stride() == tensor.stride()


def test_any_gradient_of_total_and_losses() -> None:
    case = on_device(dtype=torch.float64)
    weights = torch.tensor([0.3, -2.0, 0.7], dtype=torch.float64, device=DEVICE)
    given, wanted = (
        torch.autograd.grad(3.5 * terms.total + (weights * terms.losses).sum(), case.inputs)
        for terms in (case.fused(), case.reference())
    )
    for gradient, reference in zip(given, wanted):
        torch.testing.assert_close(gradient, reference)


def test_second_derivatives_are_refused() -> None:
    case = on_device()
    with pytest.raises(RuntimeError, match="create_graph=True"):
        torch.autograd.grad(case.fused().total, case.inputs, create_graph=True)


@pytest.mark.parametrize("weighted", [False, True])
def test_compiles_as_one_graph(weighted: bool) -> None:
    task = CrossEntropyTask(5, class_weights=WEIGHTS if weighted else None)
    case = on_device(semantic=task)
    criterion = mtl_cuda.MultiTaskLoss(case.tasks).to(DEVICE)

    def step(predictions: dict[str, Tensor]) -> Tensor:
        scaled = {name: 2 * tensor for name, tensor in predictions.items()}
        return criterion(scaled, case.targets).total

    inputs = [*case.predictions.values(), *criterion.parameters()]
    expected = torch.autograd.grad(step(case.predictions), inputs)
    compiled = torch.compile(step, fullgraph=True)
    for _ in range(2):
        given = torch.autograd.grad(compiled(case.predictions), inputs)
        for gradient, reference in zip(given, expected):
            torch.testing.assert_close(gradient, reference)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_under_autocast(dtype: torch.dtype) -> None:
    case = on_device(dtype=dtype)
    case.log_variances = torch.zeros(3, device=DEVICE, requires_grad=True)
    with torch.autocast(DEVICE.type, dtype=dtype):
        terms = case.fused()
    assert terms.total.dtype == torch.float32
    terms.total.backward()
    gradient = case.predictions["semantic"].grad
    assert gradient is not None
    assert gradient.dtype == dtype


def test_mixed_types() -> None:
    case = on_device()
    for name, dtype in (("semantic", torch.bfloat16), ("depth", torch.float64)):
        case.predictions[name] = case.predictions[name].detach().to(dtype).requires_grad_()
    assert case.fused().total.dtype == torch.float64
    assert_matches_reference(case)


def test_module_gives_the_functional_total() -> None:
    case = on_device()
    criterion = mtl_cuda.MultiTaskLoss(case.tasks).to(DEVICE)
    terms = functional.multi_task_loss(
        case.predictions, case.targets, case.tasks, torch.zeros(3, device=DEVICE)
    )
    assert torch.equal(criterion(case.predictions, case.targets).total, terms.total)
