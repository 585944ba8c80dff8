"""Which calls go past the dispatcher, and that no other does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import pytest
import torch
from loss_cases import make_case
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mtl_cuda.ops.plain import is_plain_call

PLAIN: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "nothing": nullcontext,
    "no_grad": torch.no_grad,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "anomaly detection": torch.autograd.detect_anomaly,
    "hooks on saved tensors": lambda: torch.autograd.graph.saved_tensors_hooks(
        torch.clone, torch.clone
    ),
}


@contextmanager
def _functionalized() -> Iterator[None]:
    torch._enable_functionalization(reapply_views=True)
    try:
        yield
    finally:
        torch._disable_functionalization()


WATCHED: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "dispatch mode": lambda: FlopCounterMode(display=False),
    "function mode": lambda: torch.device("cpu"),
    "profiler": torch.profiler.profile,
    "functionalization": _functionalized,
    "below autograd": torch._C._AutoDispatchBelowAutograd,
}


@pytest.mark.filterwarnings("ignore:Anomaly")
@pytest.mark.parametrize("state", PLAIN.values(), ids=list(PLAIN))
def test_plain_tensors(state: Callable[[], AbstractContextManager[object]]) -> None:
    with state():
        assert is_plain_call([torch.zeros(2), None, nn.Parameter(torch.zeros(3))])


@pytest.mark.parametrize("state", WATCHED.values(), ids=list(WATCHED))
def test_somebody_watches(state: Callable[[], AbstractContextManager[object]]) -> None:
    tensors = [torch.zeros(2)]
    with state():
        assert not is_plain_call(tensors)
    assert is_plain_call(tensors)


class _Subclass(torch.Tensor):
    pass


NOT_PLAIN = {
    "subclass": lambda: torch.zeros(2).as_subclass(_Subclass),
    "meta": lambda: torch.zeros(2, device="meta"),
    "sparse": lambda: torch.zeros(2, 2).to_sparse(),
    "negated": lambda: torch.zeros(2, dtype=torch.complex64).conj().imag,
    "zero tensor": lambda: torch._efficientzerotensor(2),
    "functional": lambda: torch._to_functional_tensor(torch.zeros(2)),
}


@pytest.mark.parametrize("make", NOT_PLAIN.values(), ids=list(NOT_PLAIN))
def test_other_tensors(make: Callable[[], Tensor]) -> None:
    assert not is_plain_call([torch.zeros(2), make()])


def test_within_a_transform_or_a_trace() -> None:
    seen: list[bool] = []

    def watch(tensor: Tensor) -> Tensor:
        seen.append(is_plain_call([tensor]))
        return tensor.sum()

    torch.func.grad(watch)(torch.zeros(2))
    torch.func.functionalize(watch)(torch.zeros(2))
    torch.func.vmap(watch)(torch.zeros(2, 2))
    torch.jit.trace(watch, (torch.zeros(2),), check_trace=False)
    assert seen == [False] * 4


def test_a_profile_names_the_op() -> None:
    case = make_case(2, 4, 6, dtype=torch.float32)
    with torch.profiler.profile() as profile:
        case.fused()
    assert "mtl_cuda::multi_task_loss" in {event.key for event in profile.key_averages()}


@pytest.mark.parametrize("fixed", [False, True], ids=["learned", "fixed"])
def test_both_ways_give_the_same_bits(fixed: bool) -> None:
    case = make_case(dtype=torch.float32, fixed=fixed)
    plain = case.fused()
    with torch.device("cpu"):  # a function mode
        dispatched = case.fused()
    for one, other in zip(plain, dispatched):
        assert torch.equal(one, other)
    for one, other in zip(
        torch.autograd.grad(plain.total, case.inputs),
        torch.autograd.grad(dispatched.total, case.inputs),
    ):
        assert torch.equal(one, other)
