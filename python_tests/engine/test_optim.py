from __future__ import annotations

import pytest
import torch
from torch import nn

from mtl_cuda import CrossEntropyTask, L1Task, MultiTaskLoss
from mtl_cuda.engine.config import OptimConfig
from mtl_cuda.engine.optim import build_optimizer, scheduled_learning_rate, set_learning_rate

CONFIG = OptimConfig(learning_rate=0.1, weight_decay=0.5, log_variance_lr=3.0)


def make() -> tuple[nn.Module, MultiTaskLoss, torch.optim.SGD]:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))
    criterion = MultiTaskLoss({"semantic": CrossEntropyTask(2), "depth": L1Task()})
    return network, criterion, build_optimizer(network, criterion, CONFIG)


def test_every_parameter_is_in_one_group_and_only_kernels_decay() -> None:
    network, criterion, optimizer = make()
    decay = {
        id(parameter): group["weight_decay"]
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    parameters = [*network.parameters(), *criterion.parameters()]
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(parameters)
    assert [decay[id(parameter)] for parameter in parameters] == [0.5, 0, 0, 0, 0.5, 0, 0]


def test_log_variances_are_left_alone_without_a_gradient() -> None:
    network, criterion, optimizer = make()
    assert criterion.log_variances is not None
    with torch.no_grad():
        criterion.log_variances.fill_(2.0)
    before = [parameter.detach().clone() for parameter in network.parameters()]
    for parameter in [*network.parameters(), criterion.log_variances]:
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert criterion.log_variances.tolist() == [2.0, 2.0]
    moved = [not torch.equal(a, b) for a, b in zip(before, network.parameters())]
    assert moved == [True, False, False, False, True, False]


def test_log_variances_have_their_own_learning_rate() -> None:
    _, _, optimizer = make()
    set_learning_rate(optimizer, 0.01)
    assert [group["lr"] for group in optimizer.param_groups] == [0.01, 0.01, pytest.approx(0.03)]
    assert all(group["nesterov"] and group["momentum"] == 0.9 for group in optimizer.param_groups)


def test_fixed_weights_have_no_third_group() -> None:
    network = nn.Conv2d(3, 1, 1)
    criterion = MultiTaskLoss({"depth": L1Task()}, weighting={"depth": 1.0})
    assert len(build_optimizer(network, criterion, CONFIG).param_groups) == 2


def test_poly_numbers() -> None:
    rates = [scheduled_learning_rate(CONFIG, step, 100) for step in (0, 50, 99, 100, 120)]
    assert rates == pytest.approx([0.1, 0.0535886731, 0.0015848932, 0.0, 0.0])


def test_warm_up_numbers() -> None:
    config = OptimConfig(learning_rate=0.1, power=0.9, warmup_steps=4)
    rates = [scheduled_learning_rate(config, step, 100) for step in range(6)]
    factors = [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    expected = [0.1 * f * (1 - step / 100) ** 0.9 for step, f in enumerate(factors)]
    assert rates == pytest.approx(expected, rel=1e-12)
