"""Batch normalisation that keeps its statistics, or shares them between processes."""

from __future__ import annotations

import torch
from torch import distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm


def freeze_batch_norm(module: nn.Module) -> None:
    """Let every batch normalisation within use its running statistics, and learn nothing.

    `nn.Module.train` on what holds it undoes the first of the two.
    """
    for layer in module.modules():
        if isinstance(layer, _BatchNorm):
            layer.eval()
            layer.requires_grad_(False)


def synchronise_batch_norm(module: nn.Module, device: torch.device) -> None:
    """Let every batch normalisation within take the statistics of all processes' batches.

    Parameters and names stay as they are. One process alone has nothing to share: nothing changes.

    Raises:
        ValueError: several processes on a device where PyTorch has no such layer.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return
    if distributed.get_world_size() == 1:
        return
    if device.type != "cuda":
        raise ValueError(
            f"model.batch_norm: sync needs GPUs (torch.nn.SyncBatchNorm), and the {device.type} is "
            "used: take train or frozen"
        )
    nn.SyncBatchNorm.convert_sync_batchnorm(module)
