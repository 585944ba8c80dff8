"""The geometric mean of the losses, which no unit of a loss can tilt."""

from __future__ import annotations

import torch

from mtl_cuda.weighting.base import RawLosses, Weighed, Weighting


class GeometricMean(Weighting):
    """Geometric loss strategy (GLS).

        total = (product over i of L_i) ** (1/n)
        weight of a task = d total / d L_i = total / (n L_i)

    over the n tasks that have a loss; 0 where none has. Multiplying a loss by a constant multiplies
    all gradients alike. Stateless.

    Source: S. Chennupati, G. Sistu, S. Yogamani, S. A. Rawashdeh, "MultiNet++: Multi-Stream Feature
    Aggregation and Geometric Loss Strategy for Multi-Task Learning", CVPR Workshops 2019 (arXiv
    1904.08492), equation 3.
    """

    def forward(self, raw: RawLosses) -> Weighed:
        """The geometric mean and its slopes."""
        present = raw.present
        # A loss that is not there becomes a constant: factor 1 of the product, no gradient.
        losses = torch.where(present, raw.losses, 1.0)
        count = present.sum().clamp(min=1)
        total = (losses.log().sum() / count).exp() * present.any()
        weights = torch.where(present, total.detach() / (count * losses.detach()), 0.0)
        return Weighed(total, weights)
