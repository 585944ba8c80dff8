"""The schemes in the criterion: gradients, tasks without a valid pixel, state, errors."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from loss_cases import LossCase, make_case
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from mtl_cuda import CrossEntropyTask, L1Task, MultiTaskLoss
from mtl_cuda.weighting import (
    NAMES,
    SCHEMES,
    DynamicWeightAverage,
    GradNorm,
    RandomLoss,
    RawLosses,
    SoftOptimalUncertainty,
    Weighed,
    Weighting,
)


def case_behind_a_network(**arguments: Any) -> tuple[LossCase, Tensor]:
    """A case whose predictions depend on one shared parameter, as GradNorm needs it."""
    case = make_case(fixed=True, **arguments)
    some = next(iter(case.predictions.values()))
    shared = torch.tensor(1.0, dtype=some.dtype, requires_grad=True)
    case.predictions = {name: shared * given for name, given in case.predictions.items()}
    case.weights = dict.fromkeys(case.tasks, 1.0)
    return case, shared


def without_valid_pixels(case: LossCase, *names: str) -> None:
    nothing = {"semantic": 255, "instance": 0, "depth": torch.nan}
    for name in names:
        target = case.targets[name]
        assert isinstance(target, Tensor)
        target.fill_(nothing[name])


@pytest.mark.parametrize("low", [None, (3, 8)])
@pytest.mark.parametrize("name", SCHEMES)
def test_total_and_gradients(name: str, low: tuple[int, int] | None) -> None:
    case, shared = case_behind_a_network(low=low)
    criterion = MultiTaskLoss(case.tasks, name, initial_log_variance=0.4)
    assert criterion.scheme is not None
    scheme = copy.deepcopy(criterion.scheme)
    variances = torch.full((3,), 0.4, requires_grad=True)
    expected = case.reference()
    predictions = tuple(case.predictions.values())
    wanted = scheme(RawLosses(expected.losses, expected.valid, variances, predictions, (shared,)))
    out = criterion(case.predictions, case.targets, [shared])
    torch.testing.assert_close(out.total, wanted.total)
    torch.testing.assert_close(torch.stack(list(out.weights.values())), wanted.weights)
    torch.testing.assert_close(torch.stack(list(out.losses.values())), expected.losses)
    inputs = list(case.predictions.values())
    gradients = torch.autograd.grad(out.total, [*inputs, *criterion.parameters()])
    learned = [variances] if criterion.log_variances is not None else list(scheme.parameters())
    references = torch.autograd.grad(wanted.total, [*inputs, *learned])
    for gradient, reference in zip(gradients, references, strict=True):
        torch.testing.assert_close(gradient, reference)


def test_equal_is_the_sum() -> None:
    case, _ = case_behind_a_network()
    out = MultiTaskLoss(case.tasks, "equal")(case.predictions, case.targets)
    torch.testing.assert_close(out.total, sum(out.losses.values()))
    assert [weight.item() for weight in out.weights.values()] == [1.0, 1.0, 1.0]
    assert out.sigmas == {}


def test_revised_uncertainty_has_sigmas() -> None:
    case, _ = case_behind_a_network()
    criterion = MultiTaskLoss(case.tasks, "revised_uncertainty", initial_log_variance=-1.0)
    out = criterion(case.predictions, case.targets)
    assert list(criterion.state_dict()) == ["log_variances"]
    for sigma in out.sigmas.values():
        assert sigma.item() == pytest.approx(2.718281828**-0.5)


@pytest.mark.parametrize("name", NAMES)
def test_half_precision(name: str) -> None:
    case, shared = case_behind_a_network(dtype=torch.float32)
    leaves = [p.detach().half().requires_grad_() for p in case.predictions.values()]
    case.predictions = {
        name: leaf * shared.half() for name, leaf in zip(case.predictions, leaves, strict=True)
    }
    out = MultiTaskLoss(case.tasks, name)(case.predictions, case.targets, [shared])
    assert out.total.dtype == torch.float32
    half = torch.autograd.grad(out.total * 1024, list(case.predictions.values()))
    for gradient, weight, raw in zip(half, out.weights.values(), _raw_gradients(case)):
        torch.testing.assert_close(
            gradient.float() / 1024, raw * weight, atol=1e-6, rtol=4e-3, msg=name
        )


def _raw_gradients(case: LossCase) -> list[Tensor]:
    exact = case.to(torch.float32)
    exact.weights = dict.fromkeys(case.tasks, 1.0)
    return list(torch.autograd.grad(exact.reference().total, exact.inputs))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("absent", ["semantic", "instance", "depth"])
def test_a_task_with_nothing_valid_adds_nothing(name: str, absent: str) -> None:
    case, shared = case_behind_a_network()
    without_valid_pixels(case, absent)
    torch.manual_seed(0)
    criterion = MultiTaskLoss(case.tasks, name, initial_log_variance=0.7)
    out = criterion(case.predictions, case.targets, [shared])
    inputs = case.predictions
    gradients = dict(
        zip(inputs, torch.autograd.grad(out.total, list(inputs.values()), retain_graph=True))
    )
    assert not gradients[absent].any()
    assert all(gradient.isfinite().all() for gradient in gradients.values())
    others = {task: kind for task, kind in case.tasks.items() if task != absent}
    assert all(gradients[task].any() for task in others)
    assert all(weight.isfinite() for weight in out.weights.values())
    if name in ("dwa", "gradnorm", "rlw"):  # whose weights depend on the number of tasks
        weighed = sum(out.weights[task] * out.losses[task] for task in others)
        torch.testing.assert_close(out.total, weighed)
    else:
        alone = MultiTaskLoss(others, name, initial_log_variance=0.7)
        torch.testing.assert_close(out.total, alone(inputs, case.targets).total)
    if list(criterion.parameters()):
        (gradient,) = torch.autograd.grad(out.total, list(criterion.parameters()))
        assert gradient.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_nothing_valid_at_all(name: str) -> None:
    case, shared = case_behind_a_network()
    without_valid_pixels(case, *case.tasks)
    criterion = MultiTaskLoss(case.tasks, name)
    out = criterion(case.predictions, case.targets, [shared])
    inputs = [*case.predictions.values(), *criterion.parameters()]
    assert out.total.item() == 0.0
    assert not any(gradient.any() for gradient in torch.autograd.grad(out.total, inputs))
    assert not any(weight.isnan() for weight in out.weights.values())
    criterion.end_epoch()
    assert not any(value.isinf().any() for value in criterion.state_dict().values())


class _LargeResults(TorchDispatchMode):
    """Names of the operations that return more elements than there are pixels of a row."""

    def __init__(self, elements: int) -> None:
        super().__init__()
        self.elements = elements
        self.names: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> object:
        given = torch.utils._pytree.tree_leaves((args, kwargs))
        if any(isinstance(value, Tensor) and value.numel() > self.elements for value in given):
            self.names.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "gradnorm"])
def test_only_the_op_reads_predictions(name: str) -> None:
    case = make_case(fixed=True)
    criterion = MultiTaskLoss(case.tasks, name)
    with _LargeResults(elements=10) as forward:
        out = criterion(case.predictions, case.targets)
    assert forward.names == ["mtl_cuda.multi_task_loss.default"]
    with _LargeResults(elements=10) as backward:
        torch.autograd.grad(out.total, list(case.predictions.values()))
    assert set(backward.names) <= {"aten.mul.Tensor", "aten.detach.default"}
    assert backward.names.count("aten.mul.Tensor") <= 3


@pytest.mark.parametrize("name", NAMES)
def test_no_number_is_read_on_the_host(name: str) -> None:
    """Fake tensors have no numbers: asking one for its own is an error."""
    case, _ = case_behind_a_network(dtype=torch.float32)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        criterion = MultiTaskLoss(case.tasks, name)
        shared = torch.ones((), requires_grad=True)
        predictions = {
            k: mode.from_tensor(v.detach()) * shared for k, v in case.predictions.items()
        }
        targets = {k: mode.from_tensor(v) for k, v in case.targets.items()}
        for _ in range(2):
            criterion(predictions, targets, [shared]).total.backward(retain_graph=True)
            criterion.end_epoch()


def trained(criterion: MultiTaskLoss, case: LossCase, shared: Tensor, steps: int) -> list[float]:
    """Totals of some steps with changing losses, an epoch each second."""
    optimizer = torch.optim.SGD(list(criterion.parameters()) or [torch.zeros(1)], lr=0.1)
    totals = []
    for step in range(steps):
        factors = zip(case.predictions.items(), (1.0, 0.8**step, 0.5**step))
        predictions = {name: factor * value for (name, value), factor in factors}
        out = criterion(predictions, case.targets, [shared])
        optimizer.zero_grad()
        out.total.backward(retain_graph=True)
        optimizer.step()
        totals.append(out.total.item())
        if step % 2:
            criterion.end_epoch()
    return totals


def _through_a_file(criterion: MultiTaskLoss) -> MultiTaskLoss:
    file = io.BytesIO()
    torch.save(criterion.state_dict(), file)
    file.seek(0)
    torch.manual_seed(99)  # of which nothing must be left
    other = MultiTaskLoss(criterion.tasks, copy.deepcopy(criterion.scheme) or "uncertainty")
    other.load_state_dict(torch.load(file, weights_only=True))
    return other


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize(
    "copied",
    [_through_a_file, copy.deepcopy, lambda criterion: pickle.loads(pickle.dumps(criterion))],
    ids=["state_dict", "deepcopy", "pickle"],
)
def test_state_is_kept(name: str, copied: Callable[[MultiTaskLoss], MultiTaskLoss]) -> None:
    case, shared = case_behind_a_network(dtype=torch.float32)
    criterion = MultiTaskLoss(case.tasks, name)
    before = trained(criterion, case, shared, 6)
    other = copied(criterion)
    after = trained(criterion, case, shared, 4)
    assert trained(other, case, shared, 4) == after
    if name in ("dwa", "rlw", "gradnorm", "revised_uncertainty"):
        assert after != before[:4]


def test_the_seed_decides_about_random_weights() -> None:
    case, shared = case_behind_a_network(dtype=torch.float32)

    def totals(seed: int) -> list[float]:
        torch.manual_seed(seed)
        return trained(MultiTaskLoss(case.tasks, "rlw"), case, shared, 3)

    assert totals(1) == totals(1)
    assert totals(1) != totals(2)
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    MultiTaskLoss(case.tasks, "rlw")
    assert torch.equal(torch.random.get_rng_state(), before)
    given = [trained(MultiTaskLoss(case.tasks, RandomLoss(5)), case, shared, 2) for _ in range(2)]
    assert given[0] == given[1]


@pytest.mark.parametrize("name", NAMES)
def test_state_moves(name: str) -> None:
    criterion = MultiTaskLoss({"semantic": CrossEntropyTask(3), "depth": L1Task()}, name)
    moved = criterion.to("meta")
    assert all(value.is_meta for value in moved.state_dict().values())
    tensors = [v for m in moved.modules() for v in vars(m).values() if isinstance(v, Tensor)]
    assert tensors == []


def test_a_scheme_is_copied() -> None:
    scheme = DynamicWeightAverage(temperature=3.0)
    one, other = (MultiTaskLoss({"a": L1Task(), "b": L1Task()}, scheme) for _ in range(2))
    assert isinstance(one.scheme, DynamicWeightAverage)
    assert isinstance(other.scheme, DynamicWeightAverage)
    assert one.scheme is not other.scheme
    assert one.scheme.temperature == 3.0
    assert "temperature=3" in repr(one)


def test_a_scheme_of_ones_own() -> None:
    class Largest(Weighting):
        def forward(self, raw: RawLosses) -> Weighed:
            weights = (raw.losses == raw.losses.amax()).to(raw.losses.dtype)
            return Weighed(raw.losses.amax(), weights)

    case, _ = case_behind_a_network()
    out = MultiTaskLoss(case.tasks, Largest())(case.predictions, case.targets)
    torch.testing.assert_close(out.total, torch.stack(list(out.losses.values())).amax())


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("uncertanty", "uncertainty"),
        ("DynamicWeightAverage", "dwa"),
        ("grad_norm", "gradnorm"),
        ("geometric", "gls"),
        ("UW-SO", "uw_so"),
        ("revised", "revised_uncertainty"),
        ("equals", "equal"),
        ("random", "rlw"),
    ],
)
def test_the_nearest_name_is_given(name: str, nearest: str) -> None:
    with pytest.raises(
        ValueError, match=f"weighting: .*gradnorm.*{name!r}; .*nearest.*{nearest!r}"
    ):
        MultiTaskLoss({"depth": L1Task()}, name)


@pytest.mark.parametrize(
    ("build", "argument"),
    [
        (lambda: DynamicWeightAverage(0.0), "temperature"),
        (lambda: SoftOptimalUncertainty(float("inf")), "temperature"),
        (lambda: SoftOptimalUncertainty(float("nan")), "temperature"),
        (lambda: GradNorm(-1.0), "alpha"),
    ],
)
def test_options_out_of_range(build: Callable[[], nn.Module], argument: str) -> None:
    with pytest.raises(ValueError, match=f"{argument}: expected"):
        build()


def test_a_weighting_of_another_kind() -> None:
    with pytest.raises(TypeError, match=r"weighting: expected a name.* got list"):
        MultiTaskLoss({"depth": L1Task()}, [1.0])  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name != "gradnorm"])
def test_compiles_as_one_graph(name: str) -> None:
    case = make_case(dtype=torch.float32, fixed=True)
    criterion = MultiTaskLoss(case.tasks, RandomLoss(3) if name == "rlw" else name)
    compiled = torch.compile(copy.deepcopy(criterion), fullgraph=True, backend="aot_eager")
    for _ in range(2):
        results = []
        for call in (criterion, compiled):
            out = call(case.predictions, case.targets)
            gradients = torch.autograd.grad(out.total, list(case.predictions.values()))
            results.append([out.total, *out.weights.values(), *gradients])
        for given, expected in zip(*results, strict=True):
            torch.testing.assert_close(given, expected)
