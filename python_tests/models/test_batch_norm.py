from __future__ import annotations

import pytest
import torch
from torch import distributed, nn

from mtl_cuda.models.batch_norm import freeze_batch_norm, synchronise_batch_norm


def make() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())


def test_frozen_layers_learn_nothing() -> None:
    module = make()
    freeze_batch_norm(module)
    norm = module[1]
    before = norm.running_mean.clone()
    module(torch.randn(2, 3, 8, 8)).sum().backward()
    assert torch.equal(norm.running_mean, before)
    assert norm.weight.grad is None
    assert module[0].weight.grad is not None


def test_one_process_has_nothing_to_share() -> None:
    module = make()
    synchronise_batch_norm(module, torch.device("cpu"))
    assert type(module[1]) is nn.BatchNorm2d


def test_several_processes_share_on_gpus_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    with pytest.raises(ValueError, match=r"model\.batch_norm: sync needs GPUs.*frozen"):
        synchronise_batch_norm(make(), torch.device("cpu"))
    module = make()
    names = list(module.state_dict())
    weight = module[1].weight
    synchronise_batch_norm(module, torch.device("cuda"))
    assert type(module[1]) is nn.SyncBatchNorm
    assert module[1].weight is weight
    assert list(module.state_dict()) == names
