"""Activation checkpointing: the same numbers, less memory."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from mtl_cuda.models import MultiTaskDeepLabV3


def make(checkpointing: bool) -> MultiTaskDeepLabV3:
    torch.manual_seed(0)
    return MultiTaskDeepLabV3(
        "resnet50",
        16,
        width=0.125,
        aspp_channels=8,
        decoder_channels=8,
        dropout=0.0,
        checkpointing=checkpointing,
    )


def learn(network: nn.Module, images: Tensor) -> tuple[int, Tensor]:
    """Two forward and backward passes; the bytes that the first keeps, and the last loss."""
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = sum(output.square().mean() for output in network(images).values())
    loss.backward()
    loss = sum(output.square().mean() for output in network(images).values())
    loss.backward()
    return sum(kept.values()), loss.detach()


def test_gradients_and_statistics_are_those_without(one_thread: None) -> None:
    images = torch.randn(2, 3, 64, 64)
    plain, again = make(False), make(True)
    plain_bytes, plain_loss = learn(plain, images)
    again_bytes, again_loss = learn(again, images)
    assert torch.equal(again_loss, plain_loss)
    for (name, one), other in zip(plain.named_parameters(), again.parameters()):
        torch.testing.assert_close(other.grad, one.grad, atol=1e-6, rtol=1e-6, msg=name)
    buffers = dict(again.named_buffers())
    for name, buffer in plain.named_buffers():
        assert torch.equal(buffers[name], buffer), name
    assert int(buffers["backbone.layer1.0.bn1.num_batches_tracked"]) == 2
    assert again.backbone.layer1[0].bn1.momentum == 0.1
    assert again_bytes < 0.6 * plain_bytes


def test_nothing_is_recomputed_without_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    network = make(True)
    monkeypatch.setattr("mtl_cuda.models.resnet.recomputed", None)
    with torch.no_grad():
        network(torch.randn(1, 3, 32, 32))
