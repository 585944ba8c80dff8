"""The loss's own autograd kernel: what else in PyTorch takes part in a call, and its two paths."""

from __future__ import annotations

import copy
import io
import itertools
import pickle
import weakref
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from loss_cases import LossCase, make_case
from torch import Tensor
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

from mtl_cuda import MultiTaskLoss, functional
from mtl_cuda.ops import loss_autograd
from mtl_cuda.ops.loss_tasks import write_tasks
from mtl_cuda.tasks import CrossEntropyTask, L1Task


def _gradients(case: LossCase) -> tuple[Tensor, ...]:
    return torch.autograd.grad(case.fused().total, case.inputs)


class _Seen(TorchDispatchMode):
    """Names of the ops that pass through."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> object:
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


def test_a_dispatch_mode_sees_the_op() -> None:
    case = make_case(dtype=torch.float32)
    expected = _gradients(case)
    with _Seen() as seen:
        given = _gradients(case)
    assert "mtl_cuda.multi_task_loss.default" in seen.names
    assert all(torch.equal(one, other) for one, other in zip(given, expected))


def test_fake_tensors() -> None:
    case = make_case(dtype=torch.float32)
    with FakeTensorMode() as mode:
        fake = LossCase(
            {name: mode.from_tensor(tensor) for name, tensor in case.predictions.items()},
            {name: mode.from_tensor(tensor) for name, tensor in case.targets.items()},
            case.tasks,
            mode.from_tensor(case.log_variances),
        )
        for gradient, tensor in zip(_gradients(fake), fake.inputs):
            assert gradient.shape == tensor.shape
            assert gradient.dtype == tensor.dtype


class _Subclass(torch.Tensor):
    pass


def test_tensor_subclasses() -> None:
    case = make_case(dtype=torch.float32)
    expected = _gradients(case)
    leaf = case.predictions["semantic"].detach().as_subclass(_Subclass).requires_grad_()
    case.predictions["semantic"] = leaf
    total = case.fused().total
    assert isinstance(total, _Subclass)
    for one, other in zip(torch.autograd.grad(total, case.inputs), expected):
        assert torch.equal(one, other)


def test_a_prediction_that_is_stored_negated() -> None:
    case = make_case(dtype=torch.float32)
    expected = case.fused().total
    plain = case.predictions["depth"].detach()
    negated = torch.complex(torch.zeros_like(plain), -plain).conj().imag
    assert negated.is_neg()
    case.predictions["depth"] = negated
    assert torch.equal(case.fused().total, expected)


def test_checkpointing() -> None:
    """Recomputes the forward pass, and lets each saved tensor be unpacked once."""
    case = make_case(dtype=torch.float32)
    leaf, log_variances = case.predictions["semantic"], case.log_variances

    def total(semantic: Tensor) -> Tensor:
        predictions = {**case.predictions, "semantic": 2 * semantic}
        return LossCase(predictions, case.targets, case.tasks, log_variances).fused().total

    (expected,) = torch.autograd.grad(total(leaf), [leaf])
    (given,) = torch.autograd.grad(checkpoint(total, leaf, use_reentrant=False), [leaf])
    assert torch.equal(given, expected)


def test_a_second_backward_pass_needs_the_graph() -> None:
    case = make_case(dtype=torch.float32)
    total = case.fused().total
    torch.autograd.grad(total, case.inputs)
    with pytest.raises(RuntimeError, match="second time"):
        torch.autograd.grad(total, case.inputs)


def _stored(count: int, *, bad: bool) -> tuple[Tensor, list[Tensor]]:
    generator = torch.Generator().manual_seed(count)
    numbers = torch.randn(3, count, generator=generator, dtype=torch.float64)
    if bad:
        numbers[0, 1] = numbers[2, 1] = torch.nan  # as where s is NaN
    gradients = [torch.randn(2, 3, generator=generator) for _ in range(count)]
    return numbers, gradients


@pytest.mark.parametrize("bad", [False, True])
@pytest.mark.parametrize("wanted", [[0, 1, 2], [1], [0, 2], []])
@pytest.mark.parametrize(("total", "losses"), [(True, False), (False, True), (True, True)])
def test_both_paths_compute_the_same(
    wanted: list[int], total: bool, losses: bool, bad: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers that are read on the host, and numbers that only the device may see."""
    monkeypatch.setattr(loss_autograd, "_keeps_graph", lambda: True)
    numbers, gradients = _stored(3, bad=bad)
    tasks: dict[str, Any] = {
        "a": CrossEntropyTask(5, likelihood="scaled_softmax"),
        "b": L1Task(),
        "c": CrossEntropyTask(3),
    }
    ctx = SimpleNamespace(
        wanted=wanted,
        tasks=write_tasks(tasks),
        needs_input_grad=(False, True),
        log_variance_dtype=torch.float32,
    )
    incoming = (
        torch.tensor(-1.75) if total else None,
        torch.tensor([0.5, -2.0, 3.0]) if losses else None,
    )
    stored = [gradients[i] for i in wanted]
    on_host = loss_autograd._on_the_host(ctx, numbers, list(stored), *incoming)
    on_device = loss_autograd._on_the_device(ctx, numbers, list(stored), *incoming)
    for one, other in zip(on_host[0], on_device[0], strict=True):
        torch.testing.assert_close(one, other, equal_nan=True)
    torch.testing.assert_close(on_host[1], on_device[1], equal_nan=True)


def _outputs(criterion: MultiTaskLoss, case: LossCase) -> list[Tensor]:
    out = criterion(case.predictions, case.targets)
    named: Iterable[dict[str, Tensor]] = (out.losses, out.weights, out.sigmas, out.valid)
    return [out.total, *itertools.chain.from_iterable(values.values() for values in named)]


@pytest.mark.parametrize("copied_by", ["deepcopy", "pickle", "torch.save"])
def test_copies_of_the_module(copied_by: str) -> None:
    case = make_case(dtype=torch.float32)
    criterion = MultiTaskLoss(case.tasks, initial_log_variance=0.3)
    expected = _outputs(criterion, case)
    if copied_by == "deepcopy":
        other = copy.deepcopy(criterion)
    elif copied_by == "pickle":
        other = pickle.loads(pickle.dumps(criterion))
    else:
        file = io.BytesIO()
        torch.save(criterion, file)
        file.seek(0)
        other = torch.load(file, weights_only=False)
    for one, another in zip(_outputs(other, case), expected, strict=True):
        assert torch.equal(one, another)


def test_sigmas_are_those_of_the_call() -> None:
    case = make_case(dtype=torch.float32)
    criterion = MultiTaskLoss(case.tasks, initial_log_variance=2.0)
    out = criterion(case.predictions, case.targets)
    with torch.no_grad():
        criterion.log_variances.zero_()  # type: ignore[union-attr]
    for sigma in out.sigmas.values():
        torch.testing.assert_close(sigma, torch.tensor(1.0).exp())
        assert not sigma.requires_grad


def test_an_output_does_not_keep_the_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    case = make_case(dtype=torch.float32)
    criterion = MultiTaskLoss(case.tasks)
    stored: list[weakref.ref[Tensor]] = []
    original = functional.loss_op.multi_task_loss

    def spy(*arguments: Any) -> Any:
        result = original(*arguments)
        stored.extend(weakref.ref(gradient) for gradient in result.gradients)
        return result

    monkeypatch.setattr(functional.loss_op, "multi_task_loss", spy)
    out = criterion(case.predictions, case.targets)
    assert all(gradient() is not None for gradient in stored)
    torch.autograd.grad(out.total, list(case.predictions.values()))
    assert all(gradient() is None for gradient in stored)
    assert out.losses


@pytest.mark.slow
def test_a_compiled_module_returns_everything() -> None:
    case = make_case(dtype=torch.float32)
    criterion = MultiTaskLoss(case.tasks)
    compiled = torch.compile(criterion, fullgraph=True)
    out, expected = (call(case.predictions, case.targets) for call in (compiled, criterion))
    for name in case.tasks:
        for part in ("losses", "weights", "sigmas", "valid"):
            torch.testing.assert_close(getattr(out, part)[name], getattr(expected, part)[name])


@pytest.mark.slow
def test_the_function_compiles_with_any_tasks() -> None:
    weights = (0.1, 1.0 / 3.0, 2e-30, 1.0, 3.0)
    task = CrossEntropyTask(5, 7, class_weights=weights, label_smoothing=0.1)
    case = make_case(semantic=task, dtype=torch.float32, fixed=True)
    case.targets["semantic"] = case.targets["semantic"].clamp(max=7)

    def total() -> Tensor:
        return functional.multi_task_loss(
            case.predictions, case.targets, case.tasks, weights=case.weights
        ).total

    torch.testing.assert_close(torch.compile(total, fullgraph=True)(), total())
