"""Inverse depth: the error over valid pixels."""

from __future__ import annotations

from torch import Tensor

from mtl_cuda.metrics.accumulate import ErrorMetric, check_map, check_shape


class InverseDepthMetric(ErrorMetric):
    """Mean absolute and root mean square error of inverse depth over all valid pixels.

    Args:
        unit: of the values and so of the errors: "1/m", or "px" for disparity.
    """

    def __init__(self, unit: str = "1/m") -> None:
        super().__init__()
        self.unit = unit

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Count a batch.

        Args:
            prediction: float [B,1,H,W] or [B,H,W].
            target: float [B,H,W]; NaN is invalid, 0 is valid and infinitely far.

        Raises:
            ValueError: shapes do not go together.
        """
        check_map("target", target)
        if prediction.dim() == 4 and prediction.shape[1] == 1:
            prediction = prediction.squeeze(1)
        check_shape("prediction", prediction, tuple(target.shape), "target (or [B,1,H,W])")
        difference = prediction.double() - target.double()
        self._add_errors(difference.abs(), difference.square(), ~target.isnan())
