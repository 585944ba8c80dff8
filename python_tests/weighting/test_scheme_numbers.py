"""Every scheme against its formula, written out in plain Python."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import NormalDist, mean, pvariance

import pytest
import torch
from torch import Tensor

from mtl_cuda.weighting import (
    SCHEMES,
    DynamicWeightAverage,
    GeometricMean,
    GradNorm,
    RandomLoss,
    RawLosses,
    RevisedUncertainty,
    SoftOptimalUncertainty,
    Weighed,
    Weighting,
    random_loss,
)
from mtl_cuda.weighting.revised_uncertainty import optimal_log_variance


def raw(*losses: float, log_variances: Tensor | None = None) -> RawLosses:
    """Losses that could be those of the op; None of a task is valid where its loss is 0."""
    values = torch.tensor(losses, dtype=torch.float64, requires_grad=True)
    return RawLosses(values, (values.detach() != 0).long(), log_variances, (), ())


def started(scheme: Weighting, count: int) -> Weighting:
    scheme.start(count)
    return scheme


def slopes(result: Weighed, given: RawLosses) -> list[float]:
    return torch.autograd.grad(result.total, given.losses)[0].tolist()


def test_revised_uncertainty() -> None:
    s = torch.tensor([0.3, -1.0], dtype=torch.float64, requires_grad=True)
    given = raw(2.0, 0.5, log_variances=s)
    result = RevisedUncertainty()(given)
    squares = [math.exp(0.3), math.exp(-1.0)]
    terms = [
        loss / (2 * square) + math.log(1 + square) for loss, square in zip((2.0, 0.5), squares)
    ]
    assert result.total.item() == pytest.approx(sum(terms))
    assert result.weights.tolist() == pytest.approx([0.5 / square for square in squares])
    of_losses, of_s = torch.autograd.grad(result.total, [given.losses, s])
    assert of_losses.tolist() == pytest.approx(result.weights.tolist())
    expected = [
        -loss / (2 * square) + square / (1 + square) for loss, square in zip((2.0, 0.5), squares)
    ]
    assert of_s.tolist() == pytest.approx(expected)


@pytest.mark.parametrize("loss", [1e-6, 0.02, 1.0, 300.0])
def test_optimum_of_revised_uncertainty(loss: float) -> None:
    s = torch.tensor([optimal_log_variance(loss)], dtype=torch.float64, requires_grad=True)
    total = RevisedUncertainty()(raw(loss, log_variances=s)).total
    slope = torch.autograd.grad(total, s)[0].item()
    assert slope == pytest.approx(0.0, abs=1e-9)


def test_soft_optimal_uncertainty() -> None:
    given = raw(2.0, 0.5, 1.0)
    result = SoftOptimalUncertainty(temperature=2.0)(given)
    powers = [math.exp(1 / 2 / 2), math.exp(1 / 0.5 / 2), math.exp(1 / 1 / 2)]
    weights = [power / sum(powers) for power in powers]
    assert result.weights.tolist() == pytest.approx(weights)
    assert result.total.item() == pytest.approx(2 * weights[0] + 0.5 * weights[1] + weights[2])
    assert slopes(result, given) == pytest.approx(weights)  # the weights are constants


@pytest.mark.parametrize("loss", [1e-12, 1e-44])
def test_soft_optimal_uncertainty_of_a_tiny_loss(loss: float) -> None:
    given = RawLosses(torch.tensor([loss, 1.0]), torch.ones(2, dtype=torch.int64), None, (), ())
    assert SoftOptimalUncertainty()(given).weights.tolist() == [1.0, 0.0]


def test_dynamic_weight_average() -> None:
    scheme = started(DynamicWeightAverage(temperature=0.5), 2)
    epochs = [[(4.0, 1.0), (2.0, 3.0)], [(1.0, 3.0), (2.0, 0.0)], [(1.0, 1.0)]]
    seen = []
    for epoch in epochs:
        for losses in epoch:
            given = raw(*losses)
            result = scheme(given)
            seen.append(result.weights.tolist())
            assert slopes(result, given) == pytest.approx(seen[-1])
            assert result.total.item() == pytest.approx(
                sum(weight * loss for weight, loss in zip(seen[-1], losses))
            )
        scheme.end_epoch()
    assert seen[:4] == [[1.0, 1.0]] * 4
    # Means 3, 2 and 1.5, 3 (the second task has no loss in one batch): ratios 0.5 and 1.5.
    powers = [math.exp(0.5 / 0.5), math.exp(1.5 / 0.5)]
    assert seen[4] == pytest.approx([2 * power / sum(powers) for power in powers], rel=1e-6)


def test_dynamic_weight_average_counts_training_only() -> None:
    scheme = started(DynamicWeightAverage(), 1)
    scheme(raw(2.0))
    with torch.no_grad():
        scheme(raw(100.0))
    scheme.eval()(raw(100.0))
    scheme.train()(raw(math.inf))
    scheme.end_epoch()
    assert scheme.get_buffer("last").tolist() == [2.0]
    scheme.end_epoch()  # an epoch without a loss changes nothing
    assert scheme.get_buffer("last").tolist() == [2.0]
    assert scheme.get_buffer("before").isnan().all()


def test_weights_of_a_past_call_stay() -> None:
    scheme = started(DynamicWeightAverage(), 2)
    losses = torch.tensor([[1.0, 1.0], [1.0, 4.0]])
    for given in losses:
        result = scheme(raw(*given.tolist())._replace(losses=given))
        scheme.end_epoch()
    assert result.weights.tolist() == [1.0, 1.0]
    assert scheme.get_buffer("weights").tolist() != [1.0, 1.0]


def mixed(value: int) -> int:
    """SplitMix64 on Python's own numbers."""
    low = 2**64 - 1
    value = (value + 1) * 0x9E3779B97F4A7C15 & low
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & low
    value = (value ^ value >> 27) * 0x94D049BB133111EB & low
    return value ^ value >> 31


def test_random_loss() -> None:
    scheme = started(RandomLoss(seed=7), 3)
    for draw in range(3):
        given = raw(2.0, 0.5, 1.0)
        result = scheme(given)
        bits = [mixed(mixed(7) + 3 * draw + place & 2**64 - 1) for place in range(3)]
        normal = [NormalDist().inv_cdf(((b >> 12) + 0.5) / 2**52) for b in bits]
        powers = [math.exp(z) for z in normal]
        assert result.weights.tolist() == pytest.approx([p / sum(powers) for p in powers])
        assert slopes(result, given) == pytest.approx(result.weights.tolist())


def test_random_loss_of_any_bits_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """All ones once gave a uniform number of 1, whose normal one is infinite."""
    for bits in (-1, 0):
        monkeypatch.setattr(random_loss, "_mixed", lambda place, bits=bits: 0 * place + bits)
        normal = started(RandomLoss(), 3)._normal(3)
        assert normal.dtype == torch.float64
        assert normal.abs().max() < 9


def test_random_losses_are_normal_before_the_softmax() -> None:
    scheme = started(RandomLoss(seed=1), 2)
    weights = [scheme(raw(1.0, 1.0)).weights.tolist() for _ in range(3000)]
    differences = [math.log(one / other) for one, other in weights]  # of two: variance 2
    assert mean(differences) == pytest.approx(0.0, abs=0.08)
    assert pvariance(differences) == pytest.approx(2.0, rel=0.1)
    within = sum(abs(d) < math.sqrt(2) for d in differences) / len(differences)
    assert within == pytest.approx(0.683, abs=0.03)
    follow = mean(a * b for a, b in pairwise(differences))
    assert follow == pytest.approx(0.0, abs=0.12)


def test_random_loss_outside_training() -> None:
    scheme = started(RandomLoss(), 2)
    assert scheme.eval()(raw(3.0, 1.0)).weights.tolist() == [0.5, 0.5]
    assert scheme.get_buffer("draws").item() == 0


def test_geometric_mean() -> None:
    given = raw(2.0, 0.5, 8.0)
    result = GeometricMean()(given)
    assert result.total.item() == pytest.approx(2.0)
    expected = [2 / (3 * 2), 2 / (3 * 0.5), 2 / (3 * 8)]
    assert result.weights.tolist() == pytest.approx(expected)
    assert slopes(result, given) == pytest.approx(expected)


def linear(factors: list[float], shared: Tensor) -> RawLosses:
    """Losses linear in the shared parameter: task i has the gradient factors[i] * (3, 4)."""
    predictions = tuple([factor * shared for factor in factors])
    losses = torch.stack([p @ torch.tensor([3.0, 4.0], dtype=p.dtype) for p in predictions])
    return RawLosses(losses, torch.ones(len(factors)), None, predictions, (shared,))


@pytest.mark.parametrize(("alpha", "signs"), [(0.3, [-1, 1]), (0.42, [1, 1]), (0.5, [1, -1])])
def test_gradnorm(alpha: float, signs: list[int]) -> None:
    scheme = started(GradNorm(alpha), 2)
    shared = torch.tensor([1.0, 1.0], dtype=torch.float64, requires_grad=True)
    scheme(linear([1.0, 2.0], shared))  # the first losses: 7 and 14
    with torch.no_grad():
        scheme.get_parameter("scores").copy_(torch.tensor([math.log(3.0), 0.0]))
    given = linear([1.0, 4.0], shared)  # now 7 and 28
    result = scheme(given)
    # weights 1.5, 0.5; norms 5, 20; G = 7.5, 10 with mean 8.75; L / L(0) = 1, 2 with mean 1.5
    assert result.weights.tolist() == pytest.approx([1.5, 0.5])
    assert result.total.item() == pytest.approx(1.5 * 7 + 0.5 * 28)
    targets = [8.75 * (1 / 1.5) ** alpha, 8.75 * (2 / 1.5) ** alpha]
    assert [math.copysign(1, 7.5 - targets[0]), math.copysign(1, 10 - targets[1])] == signs
    of_weights = [signs[0] * 5 / 8.75, signs[1] * 20 / 8.75]
    # w = 2 softmax(v): dw_i / dv_k = w_i ([i = k] - w_k / 2)
    of_first = of_weights[0] * 1.5 * (1 - 0.75) - of_weights[1] * 0.5 * 0.75
    result.total.backward()
    gradient = scheme.get_parameter("scores").grad
    assert gradient is not None
    assert gradient.tolist() == pytest.approx([of_first, -of_first])
    assert shared.grad is not None
    assert shared.grad.tolist() == pytest.approx([(1.5 + 0.5 * 4) * 3, (1.5 + 0.5 * 4) * 4])


def test_gradnorm_evens_the_gradients_out() -> None:
    scheme = started(GradNorm(alpha=0.0), 3)
    shared = torch.tensor([1.0, 1.0], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD(scheme.parameters(), lr=0.03)
    factors = [1.0, 30.0, 0.2]
    for _ in range(1000):
        optimizer.zero_grad()
        result = scheme(linear(factors, shared))
        result.total.backward()
        optimizer.step()
    pulls = [weight * factor for weight, factor in zip(result.weights.tolist(), factors)]
    assert pulls == pytest.approx([mean(pulls)] * 3, rel=0.1)
    assert result.weights.sum().item() == pytest.approx(3.0)


@pytest.mark.parametrize("gap", [1.0, 60.0, 95.0, 200.0])
def test_gradnorm_finds_back_from_weights_too_small_for_a_float(gap: float) -> None:
    scheme = started(GradNorm(), 2)
    scheme(linear([1.0, 1.0], torch.ones(2, requires_grad=True)))
    with torch.no_grad():
        scheme.get_parameter("scores").copy_(torch.tensor([gap, 0.0]))
    given = linear([0.0, 1.0], torch.ones(2, requires_grad=True))  # all weight on a dead task
    scheme(given._replace(losses=given.losses + torch.tensor([7.0, 0.0]))).total.backward()
    gradient = scheme.get_parameter("scores").grad
    assert gradient is not None
    share = 1 / (1 + math.exp(-gap))  # of the first: G is 0 and 2 times its mean
    # rel: neighbouring float32 numbers near ln G = -200 are 1.5e-5 apart.
    assert gradient.tolist() == pytest.approx([-2 * share, 2 * share], rel=1e-4)


def test_gradnorm_without_any_gradient() -> None:
    scheme = started(GradNorm(), 2)
    given = linear([0.0, 0.0], torch.ones(2, requires_grad=True))
    scheme(given._replace(losses=given.losses + 7.0)).total.backward()
    gradient = scheme.get_parameter("scores").grad
    assert gradient is not None
    assert gradient.tolist() == [0.0, 0.0]


def test_gradnorm_waits_for_the_first_loss_of_a_task() -> None:
    scheme = started(GradNorm(), 2)
    shared = torch.tensor([1.0, 1.0], dtype=torch.float64, requires_grad=True)
    for factors in ([math.inf, 0.0], [1.0, 3.0], [5.0, 6.0]):
        scheme(linear(factors, shared))
    assert scheme.get_buffer("first_losses").tolist() == [7.0, 21.0]


def test_gradnorm_needs_shared_parameters_in_training_alone() -> None:
    scheme = started(GradNorm(), 2)
    given = linear([1.0, 2.0], torch.ones(2, requires_grad=True))._replace(shared=())
    with pytest.raises(ValueError, match="shared: GradNorm needs"):
        scheme(given)
    assert scheme.eval()(given).weights.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("name", SCHEMES)
def test_a_loss_that_is_not_a_number_is_not_hidden(name: str) -> None:
    scheme = started(SCHEMES[name](), 2).eval()
    given = raw(math.nan, 1.0, log_variances=torch.zeros(2))
    assert scheme(given).total.isnan()
