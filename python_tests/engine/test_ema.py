"""The moving average of weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mtl_cuda.engine.ema import averaged, weights_to_use


@pytest.mark.parametrize("decay", [0.5, 0.999])
def test_the_formula(decay: float) -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    average = averaged(network, decay)
    expected = 0.0
    for update, value in enumerate((3.0, -1.0, 7.0, 2.0, 2.0)):
        with torch.no_grad():
            network[0].weight.fill_(value)
            network[1].running_mean.fill_(10 * value)
        average.update_parameters(network)
        factor = min(decay, (1 + update) / (10 + update)) if update else 0.0
        expected = factor * expected + (1 - factor) * value
        copy = average.module
        assert copy[0].weight.flatten().tolist() == pytest.approx([expected] * 2, rel=1e-6)
        assert copy[1].running_mean.tolist() == pytest.approx([10 * expected] * 2, rel=1e-6)


def test_checkpoints_give_the_average_where_they_have_one() -> None:
    network = nn.BatchNorm2d(2)
    average = averaged(network, 0.9)
    with torch.no_grad():
        average.module.weight.fill_(5.0)
    state = {"model": network.state_dict(), "ema": average.state_dict()}
    network.load_state_dict(weights_to_use(state))
    assert network.weight.tolist() == [5.0, 5.0]
    assert weights_to_use({"model": {"a": 1}}) == {"a": 1}
