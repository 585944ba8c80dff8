"""The training step that a benchmark measures: network, loss and backward, with three losses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from loss_case import losses, make_case
from torch import Tensor

from mtl_cuda.commands.demo import demo_config
from mtl_cuda.engine.build import build_network
from mtl_cuda.engine.config import ModelConfig
from mtl_cuda.models import MultiTaskDeepLabV3
from mtl_cuda.tasks import CrossEntropyTask, InstanceOffsetTask, L1Task, Task

LOSSES = {
    "fused, low resolution": ("fused", False),
    "fused, interpolated": ("fused", True),
    "eager": ("eager", True),
}
"""By name: which loss, and whether its predictions are interpolated first."""
_TASKS: dict[str, Task] = {
    "semantic": CrossEntropyTask(19),
    "instance": InstanceOffsetTask(),
    "depth": L1Task(),
}


def make_network(name: str, output_stride: int, device: str) -> MultiTaskDeepLabV3:
    """That of the demo, or DeepLabV3 on a ResNet (resnet18, ...) as the paper has it."""
    demo = demo_config(Path(), Path(), 1.0, 0).model
    torch.manual_seed(0)
    model = demo if name == "demo" else ModelConfig(backbone=name, output_stride=output_stride)
    network = build_network(model, _TASKS)
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def make_steps(
    network: MultiTaskDeepLabV3, batch: int, size: tuple[int, int], device: str
) -> dict[str, Callable[[], Tensor]]:
    """A step by the name of its loss, returning the total; all with the same inputs."""
    images = torch.randn(batch, 3, *size, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    label_dtype = torch.uint8 if device == "cuda" else torch.int64
    predictions, targets = make_case(batch, 19, size, torch.float32, device, label_dtype)
    named = losses(predictions, targets, {})

    def step(loss: str, interpolate: bool) -> Tensor:
        given = network(images)
        if interpolate:
            given = {
                name: F.interpolate(prediction, size=size, mode="bilinear")
                for name, prediction in given.items()
            }
        predictions.update(given)  # the losses read them from there
        total = named[loss]()
        network.zero_grad(set_to_none=True)
        total.backward()
        predictions.clear()
        return total.detach()

    def bound(loss: str, interpolate: bool) -> Callable[[], Tensor]:
        return lambda: step(loss, interpolate)

    return {name: bound(*kind) for name, kind in LOSSES.items()}
