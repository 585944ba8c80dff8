"""Weights under which all tasks pull alike at the shared parameters."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mtl_cuda.weighting.base import RawLosses, Weighed, Weighting, weighed_sum


class GradNorm(Weighting):
    """Gradient normalisation (GradNorm).

        G_i = || d (w_i L_i) / d W ||,    r_i = (L_i / L_i(0)) / mean of all (L_k / L_k(0))
        w follows the negative gradient of   sum over i of | G_i - mean(G) r_i**alpha |

    with W the shared parameters, L_i(0) the first loss of a task, and mean(G) r_i**alpha constant
    to the derivative. Tasks that learn slowly (r > 1) may pull more, the more so the larger alpha;
    with alpha = 0 all pull alike. Means are over the tasks that have a loss.

    The weights add up to the number of tasks. The paper renormalises them after every step and
    leaves open how they stay positive; here w = T softmax(v) does both, with v the parameter
    ``scores`` (0 at first), which trains along with the network like log-variances. The sum is
    divided by mean(G), so that v's gradient does not depend on the losses' units.

    Training needs W: ``criterion(predictions, targets, shared=parameters)``, usually the last layer
    that all tasks share. Each call makes one extra backward pass through what lies between W and
    the predictions. The gradient reaches v in the backward pass from the total, whose value it
    leaves as it is. State: ``scores``, and the first losses (NaN = none yet).

    Args:
        alpha: >= 0.

    Raises:
        ValueError: ``alpha`` is not a finite number >= 0; in training, no shared parameters.

    Source: Z. Chen, V. Badrinarayanan, C.-Y. Lee, A. Rabinovich, "GradNorm: Gradient Normalization
    for Adaptive Loss Balancing in Deep Multitask Networks", ICML 2018 (arXiv 1711.02257).
    """

    needs_shared = True
    scores: nn.Parameter
    first_losses: Tensor

    def __init__(self, alpha: float = 1.5) -> None:
        super().__init__()
        if not 0.0 <= alpha < float("inf"):
            raise ValueError(f"alpha: expected a finite number >= 0, got {alpha}")
        self.alpha = float(alpha)

    def start(self, count: int) -> None:
        """All weights 1."""
        self.scores = nn.Parameter(torch.zeros(count))
        self.register_buffer("first_losses", torch.full((count,), torch.nan))

    def forward(self, raw: RawLosses) -> Weighed:
        """Weigh by T softmax(scores); in training, let the scores feel the imbalance."""
        weights = len(raw.losses) * torch.softmax(self.scores, dim=0)
        total, constant = weighed_sum(weights, raw.losses)
        if self.learning:
            imbalance = self._imbalance(raw)
            total = total + (imbalance - imbalance.detach())
        return Weighed(total, constant)

    def _imbalance(self, raw: RawLosses) -> Tensor:
        """The sum that the weights minimise, in units of mean(G).

        G / mean(G) from logarithms: a weight may be too small for a float, and still has to find
        its way back.
        """
        present, losses = raw.present, raw.losses.detach()
        is_first = self.first_losses.isnan() & present & losses.isfinite()
        first = torch.where(is_first, losses, self.first_losses)
        self.first_losses.copy_(first)
        count = present.sum().clamp(min=1)
        tiny = torch.finfo(losses.dtype).tiny
        rates = torch.where(present, losses / first, 0.0)
        relative = rates / (rates.sum() / count).clamp(min=tiny)
        pulls = torch.log_softmax(self.scores, dim=0) + _gradient_norms(raw).log()
        pulls = torch.where(present, pulls, -torch.inf)  # ln G, less a constant
        mean = torch.logsumexp(pulls.detach(), dim=0) - count.log()
        mean = mean.clamp(min=torch.finfo(mean.dtype).min)  # where no task has a gradient
        differences = ((pulls - mean).exp() - relative**self.alpha).abs()
        return torch.where(present, differences, 0.0).sum()

    def extra_repr(self) -> str:
        """The options."""
        return f"alpha={self.alpha:g}"


def _gradient_norms(raw: RawLosses) -> Tensor:
    """[T] || d L_i / d W ||.

    In two stages, since each loss depends on its own prediction alone: the stored gradients of all
    predictions at once, then each through its own part of the network and no other.
    """
    if not raw.shared:
        raise ValueError(
            "shared: GradNorm needs the parameters that all tasks share; call "
            "criterion(predictions, targets, shared=last_shared_layer.parameters())"
        )
    sizes = [parameter.numel() for parameter in raw.shared]
    rows = [raw.losses.new_zeros(sum(sizes)) for _ in raw.predictions]
    places = [i for i, prediction in enumerate(raw.predictions) if prediction.requires_grad]
    predictions = [raw.predictions[i] for i in places]
    upstream: tuple[Tensor, ...] = ()
    if predictions:
        upstream = torch.autograd.grad(raw.losses.sum(), predictions, retain_graph=True)
    for i, prediction, gradient in zip(places, predictions, upstream):
        gradients = torch.autograd.grad(
            prediction, raw.shared, gradient, retain_graph=True, allow_unused=True
        )
        for part, found in zip(rows[i].split(sizes), gradients):
            if found is not None:
                part.copy_(found.flatten())
    joined = raw.mean(torch.stack(rows))
    return torch.linalg.vector_norm(joined, dim=1)
