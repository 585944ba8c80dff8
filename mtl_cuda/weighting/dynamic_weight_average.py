"""Weights from how fast each loss has fallen from epoch to epoch."""

from __future__ import annotations

import torch
from torch import Tensor

from mtl_cuda.weighting.base import RawLosses, Weighed, Weighting, check_positive, weighed_sum


class DynamicWeightAverage(Weighting):
    """Dynamic weight average (DWA).

        w_i(t) = K exp(r_i(t-1) / T) / sum over k of exp(r_k(t-1) / T),
        r_i(t-1) = L_i(t-1) / L_i(t-2)

    for K tasks, where L_i(t) is the mean raw loss of epoch t over the batches in which the task
    has one. In the first two epochs r = 1, so all weights are 1. Weights add up to K; a large T
    makes them equal.

    An epoch is over when :meth:`MultiTaskLoss.end_epoch` is called, after the last optimizer step
    of a pass over the training set. Without such calls all weights stay 1. State: the weights, the
    means of the last two epochs (NaN = none yet), sums and counts of this one.

    Args:
        temperature: T.

    Raises:
        ValueError: ``temperature`` is not a finite number > 0.

    Source: S. Liu, E. Johns, A. J. Davison, "End-to-End Multi-Task Learning with Attention", CVPR
    2019 (arXiv 1803.10704), equation 7.
    """

    weights: Tensor
    last: Tensor
    before: Tensor
    sums: Tensor
    counts: Tensor

    def __init__(self, temperature: float = 2.0) -> None:
        super().__init__()
        self.temperature = check_positive(temperature, "temperature")

    def start(self, count: int) -> None:
        """All weights 1."""
        self.register_buffer("weights", torch.ones(count))
        for name in ("last", "before"):
            self.register_buffer(name, torch.full((count,), torch.nan))
        for name in ("sums", "counts"):
            self.register_buffer(name, torch.zeros(count))

    def forward(self, raw: RawLosses) -> Weighed:
        """Weigh by the numbers of this epoch, and note the losses."""
        if self.learning:
            losses = raw.losses.detach()
            counted = raw.present & losses.isfinite()
            self.sums += torch.where(counted, losses, 0.0)
            self.counts += counted
        # A copy: the next epoch changes the buffer.
        return weighed_sum(self.weights.clone(), raw.losses)

    @torch.no_grad()
    def end_epoch(self) -> None:
        """New weights from the means of this epoch and of the one before."""
        seen = self.counts > 0
        self.before.copy_(torch.where(seen, self.last, self.before))
        self.last.copy_(torch.where(seen, self.sums / self.counts, self.last))
        self.sums.zero_()
        self.counts.zero_()
        ratios = self.last / self.before
        ratios = torch.where(ratios.isfinite(), ratios, 1.0)
        self.weights.copy_(len(ratios) * torch.softmax(ratios / self.temperature, dim=0))

    def extra_repr(self) -> str:
        """The options."""
        return f"temperature={self.temperature:g}"
