"""What a task is: its prediction, its target, and the likelihood behind its loss.

The likelihoods, with ``s = log sigma**2`` the task's learned log-variance and ``L`` its raw loss
(derivations: docs/maths.md; Kendall, Gal, Cipolla, CVPR 2018, section 3):

==================  =======================================  =====================
likelihood          the total gets                           optimum
==================  =======================================  =====================
``softmax``         ``exp(-s) L + s/2``                      ``sigma**2 = 2 L``
``scaled_softmax``  mean of ``-log softmax(exp(-s) f)[y]``   none in closed form
``gaussian``        ``exp(-s)/2 L + s/2``                    ``sigma**2 = L``
``laplace``         ``exp(-s/2) L + s/2``                    ``sigma = L``
==================  =======================================  =====================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

CROSS_ENTROPY_LIKELIHOODS = ("softmax", "scaled_softmax")
L1_LIKELIHOODS = ("gaussian", "laplace")

#: Log-variances are clamped to this range on use; outside it their gradient is zero.
LOG_VARIANCE_RANGE = (-10.0, 10.0)

#: The largest instance id a target may hold; ids number the instances of one image.
MAX_INSTANCE_ID = 65535


def _check_likelihood(likelihood: str, valid: tuple[str, ...]) -> None:
    if likelihood not in valid:
        raise ValueError(f"likelihood: expected one of {', '.join(valid)}, got {likelihood!r}")


@dataclass(frozen=True)
class CrossEntropyTask:
    """Per-pixel classification: cross-entropy over logits [B,num_classes,h,w].

    The target is a class map [B,H,W] of uint8, int16, int32 or int64; pixels equal to
    ``ignore_index`` do not count. ``class_weights`` (``num_classes`` non-negative numbers) and
    ``label_smoothing`` (in [0, 1]) have the meaning they have in ``torch.nn.CrossEntropyLoss``:
    with weights the mean is over the summed weights of the valid pixels.

    Raises:
        ValueError: an argument is outside its range, or ``likelihood`` is none of ``softmax``
            (the paper's approximation, equation 10) and ``scaled_softmax`` (equation 8, exact).
    """

    num_classes: int
    ignore_index: int = 255
    class_weights: Sequence[float] | None = None
    label_smoothing: float = 0.0
    likelihood: str = "softmax"

    def __post_init__(self) -> None:
        _check_likelihood(self.likelihood, CROSS_ENTROPY_LIKELIHOODS)
        if self.num_classes < 1:
            raise ValueError(f"num_classes: expected at least 1, got {self.num_classes}")
        if not 0.0 <= self.label_smoothing <= 1.0:
            raise ValueError(
                f"label_smoothing: expected a number in [0, 1], got {self.label_smoothing}"
            )
        if self.class_weights is None:
            return
        weights = tuple(float(weight) for weight in self.class_weights)
        if len(weights) != self.num_classes:
            raise ValueError(
                f"class_weights: expected {self.num_classes} numbers, one per class, "
                f"got {len(weights)}"
            )
        if not all(0.0 <= weight < float("inf") for weight in weights):
            raise ValueError(f"class_weights: expected finite numbers >= 0, got {weights}")
        object.__setattr__(self, "class_weights", weights)

    @property
    def channels(self) -> int:
        """Channels of the prediction."""
        return self.num_classes


@dataclass(frozen=True)
class L1Task:
    """Per-pixel regression: the L1 distance between prediction [B,channels,h,w] and target.

    The target is a float map [B,channels,H,W] (or [B,H,W] for one channel) in which a pixel with
    a NaN in any channel is invalid, or a pair ``(target, mask)`` with a bool mask [B,H,W] of valid
    pixels. Zero is a value like any other. Likelihoods: ``gaussian`` (the form the paper uses) and
    ``laplace`` (the one whose negative log is an L1 distance).

    Raises:
        ValueError: ``channels`` < 1, or an unknown ``likelihood``.
    """

    channels: int = 1
    likelihood: str = "gaussian"

    def __post_init__(self) -> None:
        _check_likelihood(self.likelihood, L1_LIKELIHOODS)
        if self.channels < 1:
            raise ValueError(f"channels: expected at least 1, got {self.channels}")


@dataclass(frozen=True)
class InstanceOffsetTask:
    """Per-pixel vectors to the centroid of the pixel's instance: L1 over [B,2,h,w].

    The target is the instance-id map [B,H,W] (uint8, int16, int32 or int64): 0 is no instance,
    ids up to 65535 number the instances of one image. Centroids are found where the loss is
    computed; the vectors ``centroid - pixel`` (channel 0 = x, 1 = y, in pixels of the target's
    grid) are never written. Likelihoods as in :class:`L1Task`.

    Raises:
        ValueError: an unknown ``likelihood``.
    """

    likelihood: str = "gaussian"

    def __post_init__(self) -> None:
        _check_likelihood(self.likelihood, L1_LIKELIHOODS)

    @property
    def channels(self) -> int:
        """Channels of the prediction."""
        return 2


Task = CrossEntropyTask | L1Task | InstanceOffsetTask
