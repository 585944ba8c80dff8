"""The exponential moving average of a network's weights, which often predicts better than they."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def averaged(network: nn.Module, decay: float) -> AveragedModel:
    """A copy of a network; each ``update_parameters(network)`` moves it after the network.

        average = d average + (1 - d) weights,    d = min(decay, (1 + n) / (10 + n))

    at update n, and the weights themselves at update 0. The smaller factors at first (those of
    TensorFlow's `ExponentialMovingAverage`) let short runs forget where they started. The running
    statistics of batch normalisation are averaged alike: those of the last weights would not fit
    the average of many.

    Args:
        network: on its device, in its memory format; not compiled yet.
        decay: in 0..1, without the ends.
    """

    def move(averages: Any, weights: Any, updates: Tensor | int) -> None:
        count = int(updates)
        factor = min(decay, (1 + count) / (10 + count))
        get_ema_multi_avg_fn(factor)(averages, weights, count)

    return AveragedModel(network, multi_avg_fn=move, use_buffers=True)


def weights_to_use(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights that a checkpoint's network predicts with: the averaged ones, where it has them.

    Raises:
        KeyError: it is the checkpoint of no network.
    """
    if "ema" not in checkpoint:
        return checkpoint["model"]
    named = checkpoint["ema"].items()
    return {name[len("module.") :]: value for name, value in named if name.startswith("module.")}
