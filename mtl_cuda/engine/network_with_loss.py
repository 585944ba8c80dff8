"""The network and its criterion as the one module that a training step calls."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from mtl_cuda.engine.build import ScaledDeepLabV3
from mtl_cuda.engine.precision import Precision
from mtl_cuda.modules import MultiTaskLoss, MultiTaskLossOutput


class NetworkWithLoss(nn.Module):
    """From images and targets to the loss, so that all that learns is in one module.

    That is what `torch.nn.parallel.DistributedDataParallel` must wrap: then it averages the
    gradients of the log-variances along with those of the network.

    Args:
        network: predicts at low resolution.
        criterion: weighs the losses.
        precision: of the network's forward pass.
    """

    def __init__(
        self, network: ScaledDeepLabV3, criterion: MultiTaskLoss, precision: Precision
    ) -> None:
        super().__init__()
        self.network = network
        self.criterion = criterion
        self.precision = precision

    def forward(self, images: Tensor, targets: Mapping[str, Tensor]) -> MultiTaskLossOutput:
        """Float [B, 3, H, W], and targets by task on the grid [B, H, W]: see `MultiTaskLoss`."""
        shared = self.network.aspp.project.parameters()  # the last layer of all tasks
        with self.precision.autocast():
            predictions = self.network(images)
        return self.criterion(predictions, targets, shared)
