"""The loss as an op of PyTorch: registration, autograd's corner cases, compilation."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading

import pytest
import torch
from loss_cases import LossCase, make_case
from torch import Tensor

import mtl_cuda
from mtl_cuda import functional
from mtl_cuda.tasks import CrossEntropyTask

WEIGHTS = (0.5, 2.0, 1.5, 1.0, 3.0)
SEMANTIC_TASKS = {
    "softmax": CrossEntropyTask(5),
    "scaled": CrossEntropyTask(5, likelihood="scaled_softmax"),
    "weights and smoothing": CrossEntropyTask(5, class_weights=WEIGHTS, label_smoothing=0.2),
}


@pytest.mark.parametrize("semantic", SEMANTIC_TASKS.values(), ids=list(SEMANTIC_TASKS))
@pytest.mark.parametrize("fixed", [False, True], ids=["learned", "fixed"])
def test_opcheck(semantic: CrossEntropyTask, fixed: bool) -> None:
    case = make_case(2, 4, 6, semantic=semantic, fixed=fixed, dtype=torch.float32)
    torch.library.opcheck(torch.ops.mtl_cuda.multi_task_loss.default, case.op_arguments())


@pytest.mark.parametrize("align_corners", [False, True])
def test_opcheck_of_low_resolution_predictions(align_corners: bool) -> None:
    case = make_case(2, 6, 8, low=(3, 4), align_corners=align_corners, dtype=torch.float32)
    torch.library.opcheck(torch.ops.mtl_cuda.multi_task_loss.default, case.op_arguments())


@pytest.mark.parametrize("width", [8, 7], ids=["whole ratio", "fraction"])
def test_gradcheck_of_low_resolution_predictions(width: int) -> None:
    case = make_case(2, 5, width, low=(2, 4))

    def loss(semantic: Tensor, instance: Tensor, depth: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        predictions = {"semantic": semantic, "instance": instance, "depth": depth}
        terms = LossCase(predictions, case.targets, case.tasks, s).fused()
        return terms.total, terms.losses

    assert torch.autograd.gradcheck(loss, case.inputs)


def test_opcheck_of_the_helpers() -> None:
    gradients = [torch.randn(2, 3), torch.randn(4).half()]
    factors = torch.tensor([2.0, 0.5], dtype=torch.float64)
    torch.library.opcheck(torch.ops.mtl_cuda.scale_gradients.default, (gradients, factors))
    ids = torch.randint(0, 4, (2, 5, 6))
    torch.library.opcheck(torch.ops.mtl_cuda.instance_centroids.default, (ids, 3))


@pytest.mark.parametrize("semantic", SEMANTIC_TASKS.values(), ids=list(SEMANTIC_TASKS))
@pytest.mark.parametrize("l1_likelihood", ["gaussian", "laplace"])
@pytest.mark.parametrize("ignore_all", [False, True])
def test_gradcheck(semantic: CrossEntropyTask, l1_likelihood: str, ignore_all: bool) -> None:
    case = make_case(2, 3, 5, semantic=semantic, l1_likelihood=l1_likelihood)
    labels = case.targets["semantic"]
    assert isinstance(labels, Tensor)
    labels[0] = 255  # an image without classes
    if ignore_all:
        labels[:] = 255
    assert case.log_variances is not None

    def loss(semantic: Tensor, instance: Tensor, depth: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        predictions = {"semantic": semantic, "instance": instance, "depth": depth}
        terms = LossCase(predictions, case.targets, case.tasks, s).fused()
        return terms.total, terms.losses

    assert torch.autograd.gradcheck(loss, case.inputs)


@pytest.mark.parametrize("wanted", list(itertools.product([False, True], repeat=4)))
def test_every_combination_of_gradients(wanted: tuple[bool, ...]) -> None:
    case = make_case(dtype=torch.float32)
    for tensor, needed in zip(case.inputs, wanted):
        tensor.requires_grad_(needed)
    asked = [tensor for tensor, needed in zip(case.inputs, wanted) if needed]
    fused, expected = case.fused(), case.reference()
    assert fused.total.requires_grad == any(wanted)
    if not asked:
        return
    for gradient, reference in zip(
        torch.autograd.grad(fused.total, asked), torch.autograd.grad(expected.total, asked)
    ):
        torch.testing.assert_close(gradient, reference)


def test_unwanted_gradients_are_not_computed() -> None:
    case = make_case()
    case.predictions["semantic"].requires_grad_(False)
    result = functional.loss_op.multi_task_loss(*case.op_arguments())
    assert [gradient.numel() > 0 for gradient in result.gradients] == [False, True, True]
    with torch.no_grad():
        result = functional.loss_op.multi_task_loss(*case.op_arguments())
    assert all(gradient.numel() == 0 for gradient in result.gradients)


@pytest.mark.parametrize("fixed", [False, True], ids=["learned", "fixed"])
def test_backward_from_the_total_hands_on_what_the_forward_wrote(fixed: bool) -> None:
    """No second pass over the gradients: the very memory of the forward comes back."""
    case = make_case(dtype=torch.float32, fixed=fixed)
    case.weights = None if case.weights is None else {**case.weights, "instance": 0.3}
    pointers: list[int] = []
    original = functional.loss_op.multi_task_loss

    def spy(*arguments: object) -> object:
        result = original(*arguments)
        pointers.extend(gradient.data_ptr() for gradient in result.gradients)
        return result

    functional.loss_op.multi_task_loss = spy  # type: ignore[assignment]
    try:
        total = case.fused().total
    finally:
        functional.loss_op.multi_task_loss = original
    gradients = torch.autograd.grad(total, list(case.predictions.values()))
    assert [gradient.data_ptr() for gradient in gradients] == pointers


def test_any_gradient_of_total_and_losses() -> None:
    case = make_case()
    weights = torch.tensor([0.3, -2.0, 0.7], dtype=torch.float64)

    def objective(terms: object) -> Tensor:
        return 3.5 * terms.total + (weights * terms.losses).sum()  # type: ignore[attr-defined]

    given = torch.autograd.grad(objective(case.fused()), case.inputs)
    wanted = torch.autograd.grad(objective(case.reference()), case.inputs)
    for gradient, reference in zip(given, wanted):
        torch.testing.assert_close(gradient, reference)


def test_losses_of_a_scaled_softmax_depend_on_s() -> None:
    case = make_case(semantic=SEMANTIC_TASKS["scaled"])
    given = torch.autograd.grad(case.fused().losses[0], [case.log_variances])
    wanted = torch.autograd.grad(case.reference().losses[0], [case.log_variances])
    torch.testing.assert_close(given, wanted)


def test_two_backward_passes_give_the_same_gradients() -> None:
    case = make_case(dtype=torch.float32)
    total = case.fused().total
    first = torch.autograd.grad(total, case.inputs, retain_graph=True)
    kept = [gradient.clone() for gradient in first]
    for gradient in first:
        gradient.mul_(7.0)  # what a caller does to its gradients is its own affair
    second = torch.autograd.grad(2 * total, case.inputs, retain_graph=True)
    third = torch.autograd.grad(total, case.inputs)
    for one, two, three in zip(kept, second, third):
        assert torch.equal(2 * one, two)
        assert torch.equal(one, three)


def test_predictions_are_not_written_to() -> None:
    case = make_case(dtype=torch.float32)
    before = [tensor.detach().clone() for tensor in case.inputs]
    case.fused().total.backward()
    assert all(torch.equal(a, b) for a, b in zip(before, case.inputs))


def test_second_derivatives_are_refused() -> None:
    case = make_case()
    with pytest.raises(RuntimeError, match="create_graph=True"):
        torch.autograd.grad(case.fused().total, case.inputs, create_graph=True)


def _bits(case: LossCase) -> list[bytes]:
    terms = case.fused()
    gradients = torch.autograd.grad(terms.total, case.inputs)
    return [t.detach().numpy().tobytes() for t in (terms.total, terms.losses, *gradients)]


def test_the_same_bits_for_any_number_of_threads() -> None:
    case = make_case(2, 200, 300, dtype=torch.float32)
    before = torch.get_num_threads()
    expected = _bits(case)
    try:
        for threads in (1, 2, 3, 8):
            torch.set_num_threads(threads)
            for _ in range(10):
                assert _bits(case) == expected
    finally:
        torch.set_num_threads(before)


def test_several_callers_at_once() -> None:
    case = make_case(2, 200, 300, dtype=torch.float32)
    expected = _bits(case)
    outcomes: list[bool] = []

    def work() -> None:
        outcomes.extend(_bits(case) == expected for _ in range(10))

    callers = [threading.Thread(target=work) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert outcomes == [True] * 40


def _run(program: str, **environment: str) -> None:
    """Runs a program that may import the tests' own modules; it must end well, and soon."""
    subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        timeout=120,
        check=True,
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork() on this system")
def test_a_forked_child_has_threads_of_its_own() -> None:
    """In a process of its own, so that a hang ends the child and not the tests."""
    program = """
import os, sys, torch
from loss_cases import make_case
torch.set_num_threads(4)
case = make_case(2, 300, 300, dtype=torch.float32)
expected = case.fused().total.item()
child = os.fork()
if child == 0:
    os._exit(0 if case.fused().total.item() == expected else 3)
_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status))
"""
    _run(program)


@pytest.mark.parametrize("path", ["baseline", "avx2", "avx512"])
def test_every_instruction_set(path: str) -> None:
    """A processor without a set runs the next narrower one."""
    program = """
import torch
from loss_cases import assert_same, make_case
from mtl_cuda.tasks import CrossEntropyTask
assert_same(make_case())
assert_same(make_case(low=(3, 37)))
assert_same(make_case(low=(4, 10)))
case = make_case(2, 40, 50, 19).to(torch.float32)
torch.testing.assert_close(case.fused().total, case.reference().total)
"""
    _run(program, MTL_CUDA_SIMD=path)


@pytest.mark.slow
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("low", [None, (3, 10)], ids=["full", "low"])
def test_compiles_as_one_graph(weighted: bool, low: tuple[int, int] | None) -> None:
    task = CrossEntropyTask(5, class_weights=WEIGHTS if weighted else None)
    case = make_case(semantic=task, dtype=torch.float32, low=low)
    criterion = mtl_cuda.MultiTaskLoss(case.tasks)

    def step(predictions: dict[str, Tensor]) -> Tensor:
        scaled = {name: 2 * tensor for name, tensor in predictions.items()}
        return criterion(scaled, case.targets).total

    inputs = list(case.predictions.values()) + list(criterion.parameters())
    expected = torch.autograd.grad(step(case.predictions), inputs)
    compiled = torch.compile(step, fullgraph=True)
    for _ in range(2):
        given = torch.autograd.grad(compiled(case.predictions), inputs)
        for gradient, reference in zip(given, expected):
            torch.testing.assert_close(gradient, reference)


def test_under_autocast() -> None:
    case = make_case(dtype=torch.float32).to(torch.bfloat16)
    case.log_variances = torch.zeros(3, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = case.fused()
    assert terms.total.dtype == torch.float32
    terms.total.backward()
    assert case.predictions["semantic"].grad.dtype == torch.bfloat16


def test_mixed_types() -> None:
    case = make_case(dtype=torch.float32)
    for name, dtype in (("semantic", torch.bfloat16), ("depth", torch.float64)):
        case.predictions[name] = case.predictions[name].detach().to(dtype).requires_grad_()
    fused, expected = case.fused(), case.reference()
    assert fused.total.dtype == torch.float64
    torch.testing.assert_close(fused.total, expected.total, rtol=1e-6, atol=1e-6)
    for gradient, reference in zip(
        torch.autograd.grad(fused.total, case.inputs),
        torch.autograd.grad(expected.total, case.inputs),
    ):
        torch.testing.assert_close(gradient, reference)
