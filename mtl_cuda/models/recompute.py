"""Activation checkpointing: memory of the forward pass for the time of a second one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def recomputed(module: nn.Module, x: Tensor) -> Tensor:
    """``module(x)``, keeping only ``x``: the backward pass computes the rest once more.

    The numbers are those of ``module(x)``, and so are the running statistics of its batch
    normalisation, which the second computation leaves alone. ``module`` must not draw random
    numbers. Cannot be compiled by `torch.compile`.

    Source: Chen et al., "Training Deep Nets with Sublinear Memory Cost" (arXiv 1604.06174).
    """
    return checkpoint(
        module,
        x,
        use_reentrant=False,
        preserve_rng_state=False,
        context_fn=lambda: (nullcontext(), _statistics_kept(module)),
    )


@contextmanager
def _statistics_kept(module: nn.Module) -> Iterator[None]:
    """Batch normalisation within moves its running statistics by nothing.

    The buffers are still passed to it, since the tensors that autograd keeps must be the same.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, _BatchNorm)]
    before = [(layer.momentum, layer.num_batches_tracked) for layer in layers]
    for layer in layers:
        layer.momentum, layer.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for layer, (momentum, count) in zip(layers, before):
            layer.momentum, layer.num_batches_tracked = momentum, count
