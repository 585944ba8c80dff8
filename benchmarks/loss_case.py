"""The three-task loss that the benchmarks measure: inputs, and the loss fused and in PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

import mtl_cuda

TASKS = ("semantic", "instance", "depth")


def make_case(
    batch: int,
    classes: int,
    size: tuple[int, int],
    dtype: torch.dtype,
    device: str,
    label_dtype: torch.dtype,
    ratio: int = 1,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Random predictions, ``ratio`` times smaller than the targets; labels in patches, some
    ignored; 12 instances a picture.
    """
    torch.manual_seed(0)
    height, width = size
    channels = {"semantic": classes, "instance": 2, "depth": 1}
    predictions = {
        name: torch.randn(
            batch, channels[name], height // ratio, width // ratio, dtype=dtype, device=device
        ).requires_grad_()
        for name in TASKS
    }
    coarse = (batch, height // 16, width // 16)

    def patches(highest: int) -> Tensor:
        numbers = torch.randint(0, highest, coarse, device=device)
        return numbers.repeat_interleave(16, 1).repeat_interleave(16, 2)

    labels = patches(classes)
    labels[:, : height // 20] = 255
    ids = patches(12)
    depth = torch.rand(batch, height, width, device=device)
    depth[torch.rand(depth.shape, device=device) < 0.1] = torch.nan
    return predictions, {"semantic": labels.to(label_dtype), "instance": ids.int(), "depth": depth}


def pytorch_loss(
    predictions: dict[str, Tensor],
    labels: Tensor,
    vectors: Tensor,
    is_instance: Tensor,
    depth: Tensor,
    is_depth: Tensor,
    log_variances: Tensor,
) -> Tensor:
    """The loss as one writes it in PyTorch, with masks made once per batch."""
    size = labels.shape[-2:]
    if predictions["semantic"].shape[-2:] != size:
        predictions = {
            name: F.interpolate(prediction, size=size, mode="bilinear")
            for name, prediction in predictions.items()
        }
    semantic = F.cross_entropy(predictions["semantic"].float(), labels, ignore_index=255)
    instance = (predictions["instance"].float() - vectors).abs().sum(1)
    instance = (instance * is_instance).sum() / is_instance.sum()
    inverse_depth = (predictions["depth"].float()[:, 0] - depth).abs()
    inverse_depth = (inverse_depth * is_depth).sum() / is_depth.sum()
    losses = torch.stack([semantic, instance / 2, inverse_depth / 2])
    return (torch.exp(-log_variances) * losses + log_variances / 2).sum()


def fused_loss(predictions: dict[str, Tensor], targets: dict[str, Tensor]) -> Callable[[], Tensor]:
    """The total of the fused loss."""
    criterion = mtl_cuda.MultiTaskLoss(
        {
            "semantic": mtl_cuda.CrossEntropyTask(predictions["semantic"].shape[1]),
            "instance": mtl_cuda.InstanceOffsetTask(),
            "depth": mtl_cuda.L1Task(),
        }
    ).to(predictions["semantic"].device)
    return lambda: criterion(predictions, targets).total


def pytorch_losses(
    predictions: dict[str, Tensor], targets: dict[str, Tensor], compile_modes: Mapping[str, str]
) -> dict[str, Callable[[], Tensor]]:
    """Name -> the total; ``compile_modes``: name -> mode of torch.compile."""
    vectors = mtl_cuda.reference.instance_offsets(targets["instance"]).float()
    ready = (
        targets["semantic"].long(),
        vectors.nan_to_num(),
        (targets["instance"] > 0).float(),
        targets["depth"].nan_to_num(),
        (~targets["depth"].isnan()).float(),
        torch.zeros(3, device=vectors.device, requires_grad=True),
    )
    named: dict[str, Callable[[], Tensor]] = {"eager": lambda: pytorch_loss(predictions, *ready)}
    for name, mode in compile_modes.items():
        compiled = torch.compile(pytorch_loss, mode=mode, dynamic=False)
        named[name] = partial(compiled, predictions, *ready)
    return named


def losses(
    predictions: dict[str, Tensor], targets: dict[str, Tensor], compile_modes: Mapping[str, str]
) -> dict[str, Callable[[], Tensor]]:
    """The fused loss and those in PyTorch."""
    return {
        "fused": fused_loss(predictions, targets),
        **pytorch_losses(predictions, targets, compile_modes),
    }


def stepped(loss: Callable[[], Tensor], predictions: dict[str, Tensor]) -> Callable[[], Tensor]:
    """One forward and backward pass that returns the total."""

    def step() -> Tensor:
        for prediction in predictions.values():
            prediction.grad = None
        total = loss()
        # Gradients end here as they would in a network: handed on, not copied.
        torch.autograd.grad(total, list(predictions.values()))
        return total.detach()

    return step
