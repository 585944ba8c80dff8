"""Uncertainty in closed form: what the learned one converges to, made soft."""

from __future__ import annotations

from mtl_cuda.weighting.base import (
    RawLosses,
    Weighed,
    Weighting,
    check_positive,
    softmax_of_present,
    weighed_sum,
)

# Far from the largest float32, so that a tiny loss has a score and not an infinite one.
_LARGEST_SCORE = 1e30


class SoftOptimalUncertainty(Weighting):
    """Soft optimal uncertainty weighting (UW-SO).

        total = sum over i of w_i L_i,    w = softmax(1 / (T sg[L]))

    with sg[.] a constant to the derivative. The optimum of the Gaussian form is sigma**2 = L, its
    weight proportional to 1/L; the softmax with temperature T takes the place of a plain norm.
    Weights add up to 1; a large T makes them equal. Stateless. The softmax is over the tasks that
    have a loss.

    The weights depend on the units of the losses through T, which is to be searched for: scores
    1/(T L) should differ by about 1 between tasks.

    Args:
        temperature: T.

    Raises:
        ValueError: ``temperature`` is not a finite number > 0.

    Source: L. Kirchdorfer, C. Elich, S. Kutsche, H. Stuckenschmidt, L. Schott, J. M. Koehler,
    "Analytical Uncertainty-Based Loss Weighting in Multi-Task Learning", GCPR 2024 (arXiv
    2408.07985).
    """

    def __init__(self, temperature: float = 1.0) -> None:
        super().__init__()
        self.temperature = check_positive(temperature, "temperature")

    def forward(self, raw: RawLosses) -> Weighed:
        """Weigh by the softmax of the inverse losses."""
        scores = (raw.losses.detach() * self.temperature).reciprocal().clamp(max=_LARGEST_SCORE)
        return weighed_sum(softmax_of_present(scores, raw.present), raw.losses)

    def extra_repr(self) -> str:
        """The options."""
        return f"temperature={self.temperature:g}"
