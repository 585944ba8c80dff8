"""Learned uncertainty with a regulariser that never becomes negative."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from mtl_cuda.weighting.base import RawLosses, Weighed, Weighting


class RevisedUncertainty(Weighting):
    """Revised uncertainty weighting.

        total = sum over i of  L_i / (2 sigma_i**2) + ln(1 + sigma_i**2)

    With s = log sigma**2 as it is learned: exp(-s)/2 L + softplus(s), so the weight of a task is
    exp(-s)/2 whatever its likelihood. The total is never negative, unlike that of "uncertainty".
    State: the criterion's ``log_variances``. The optimum is sigma**2 = (L + sqrt(L**2 + 8 L)) / 4.

    Source: L. Liebel, M. Koerner, "Auxiliary Tasks in Multi-task Learning", arXiv 1805.06334
    (2018), equation 3.
    """

    learns_log_variances = True

    def forward(self, raw: RawLosses) -> Weighed:
        """Weigh by exp(-s)/2 and add ln(1 + sigma**2) of every task that has a valid pixel."""
        if raw.log_variances is None:
            raise ValueError("raw.log_variances: expected a tensor, got None")
        s = raw.log_variances.to(raw.losses.dtype)
        weights = torch.exp(-s) / 2
        terms = weights * raw.losses + F.softplus(s)
        return Weighed(torch.where(raw.valid > 0, terms, 0.0).sum(), weights.detach())


def optimal_log_variance(loss: float) -> float:
    """The s at which a task with this raw loss > 0 has the smallest term."""
    return math.log((loss + math.sqrt(loss * loss + 8 * loss)) / 4)
