"""Weights drawn anew for every batch."""

from __future__ import annotations

import torch
from torch import Tensor

from mtl_cuda.weighting.base import (
    RawLosses,
    Weighed,
    Weighting,
    softmax_of_present,
    weighed_sum,
)


class RandomLoss(Weighting):
    """Random loss weighting (RLW).

        total = sum over i of w_i L_i,    w = softmax(z),    z_i ~ N(0, 1) for every batch

    Weights add up to 1. The softmax is over the tasks that have a loss. Outside training
    (evaluation mode, or no gradients recorded) nothing is drawn and the weights are equal.

    The draws are a function of the seed and of how many there have been, so that they need no
    transfer to a GPU, are the same on every device and in every process of a joint training, and
    go on after a restart where they were. State: seed, number of draws.

    Args:
        seed: of the draws; None takes the one last given to `torch.manual_seed`, without drawing
            from torch's own generator: the network is initialised as under any other weighting.

    Source: B. Lin, F. Ye, Y. Zhang, I. W. Tsang, "Reasonable Effectiveness of Random Weighting: A
    Litmus Test for Multi-Task Learning", TMLR 2022 (arXiv 2111.10603), with the normal
    distribution.
    """

    seed: Tensor
    draws: Tensor

    def __init__(self, seed: int | None = None) -> None:
        super().__init__()
        self._given_seed = seed

    def start(self, count: int) -> None:
        """Fix the seed."""
        seed = torch.initial_seed() if self._given_seed is None else int(self._given_seed)
        self.register_buffer("seed", torch.tensor(seed % 2**63))
        self.register_buffer("draws", torch.zeros((), dtype=torch.int64))

    def forward(self, raw: RawLosses) -> Weighed:
        """Draw weights."""
        scores = torch.zeros_like(raw.losses, requires_grad=False)
        if self.learning:
            scores = self._normal(len(raw.losses)).to(raw.losses.dtype)
            self.draws += 1
        return weighed_sum(softmax_of_present(scores, raw.present), raw.losses)

    def _normal(self, count: int) -> Tensor:
        """[count] float64 numbers of the standard normal distribution, for this draw."""
        place = self.draws * count + torch.arange(count, device=self.draws.device)
        bits = _mixed(_mixed(self.seed) + place)
        uniform = (_shifted(bits, 12).double() + 0.5) / 2**52  # in float32 it may be 1
        return torch.special.ndtri(uniform)

    def extra_repr(self) -> str:
        """The options."""
        return f"seed={self._given_seed}"


def _mixed(values: Tensor) -> Tensor:
    """64 bits that look random, one set per value: SplitMix64 (Steele et al., OOPSLA 2014).

    Its constants, written as the signed numbers that have their bits.
    """
    values = (values + 1) * (0x9E3779B97F4A7C15 - 2**64)
    values = (values ^ _shifted(values, 30)) * (0xBF58476D1CE4E5B9 - 2**64)
    values = (values ^ _shifted(values, 27)) * (0x94D049BB133111EB - 2**64)
    return values ^ _shifted(values, 31)


def _shifted(values: Tensor, bits: int) -> Tensor:
    """To the right, filled with zeros (torch fills with the sign)."""
    return (values >> bits) & (2 ** (64 - bits) - 1)
