"""The optimizer and its schedule, as functions of the configuration and the step alone."""

from __future__ import annotations

import torch
from torch import nn

from mtl_cuda.engine.config import OptimConfig
from mtl_cuda.modules import MultiTaskLoss


def build_optimizer(
    network: nn.Module, criterion: MultiTaskLoss, config: OptimConfig
) -> torch.optim.Optimizer:
    """Make SGD with Nesterov momentum, or AdamW, over three groups of parameters, in this order.

    1. Convolution kernels, with weight decay.
    2. Biases and the weights of batch normalisation, without: DeepLab decays kernels only (the
       `weights_regularizer` of its TensorFlow release; `decay_mult: 0` of biases before that).
    3. What the criterion learns, log-variances in general, without, and with `log_variance_lr`
       times the learning rate. Decay would pull every sigma to 1, in whatever unit the loss
       happens to be. Left out where the criterion learns nothing.

    The learning rate of step 0 is set; `set_learning_rate` moves on.
    """
    kernels = [p for p in network.parameters() if p.requires_grad and p.ndim > 1]
    others = [p for p in network.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [
        {"params": kernels, "weight_decay": config.weight_decay, "lr_factor": 1.0},
        {"params": others, "weight_decay": 0.0, "lr_factor": 1.0},
    ]
    learned = list(criterion.parameters())
    if learned:
        groups.append({"params": learned, "weight_decay": 0.0, "lr_factor": config.log_variance_lr})
    optimizer: torch.optim.Optimizer
    if config.optimizer == "adamw":
        optimizer = torch.optim.AdamW(groups, config.learning_rate, (config.momentum, 0.999))
    else:
        optimizer = torch.optim.SGD(
            groups, config.learning_rate, config.momentum, nesterov=config.momentum > 0
        )
    set_learning_rate(optimizer, config.learning_rate)
    return optimizer


def scheduled_learning_rate(config: OptimConfig, step: int, steps: int) -> float:
    """Learning rate of step `step` (from 0) of `steps`: learning_rate * (1 - step/steps)^power.

    The first `warmup_steps` have (step + 1) / warmup_steps of it.

    Source: Chen et al., "DeepLab", arXiv 1606.00915, section 4.1.2; the warm-up: Goyal et al.,
    arXiv 1706.02677, section 2.2.
    """
    poly = config.learning_rate * max(0.0, 1.0 - step / steps) ** config.power
    return poly * min(1.0, (step + 1) / max(1, config.warmup_steps))


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Set the learning rate of every group of `build_optimizer`."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate * group["lr_factor"]
