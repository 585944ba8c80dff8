"""How a network is made to look at images: sizes, windows, scales, precision."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

Size = tuple[int, int]
"""Height and width in pixels."""

PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
"""By name, the type that convolutions compute in; None is that of the weights."""

MAX_SCALE = 8.0


@dataclass(frozen=True)
class PredictOptions:
    """How images are looked at; the defaults are those of the training.

    Attributes:
        size: height and width to which an image is resized before the network sees it; "training"
            is the size of the training scenes, "image" leaves images as they are. Results have the
            size of the image either way.
        window: height and width of the windows through which the network sees the resized image,
            one after the other; None shows it as a whole. Results of overlapping windows are
            averaged with weights that fall to the edges of a window.
        overlap: of neighbouring windows, as a share of their size, in [0, 1).
        scales: factors on the size; results are averaged (probabilities of classes, not logits).
        flip: average with the results of the mirrored image.
        precision: "float32", "bfloat16" or "float16": what the network computes in.
        batch: images, or windows of them, that the network sees at once.

    Raises:
        ValueError: a value out of its range; names the option.
    """

    size: Size | Literal["training", "image"] = "training"
    window: Size | None = None
    overlap: float = 1 / 3
    scales: Sequence[float] = (1.0,)
    flip: bool = False
    precision: str = "float32"
    batch: int = 1

    def __post_init__(self) -> None:
        if self.size not in ("training", "image"):
            _check_size("size", self.size)
        if self.window is not None:
            _check_size("window", self.window)
        if not 0 <= self.overlap < 1:
            raise ValueError(f"overlap: expected a share in [0, 1), got {self.overlap}")
        if not self.scales or not all(0 < s <= MAX_SCALE and math.isfinite(s) for s in self.scales):
            raise ValueError(
                f"scales: expected numbers above 0 and at most {MAX_SCALE:g}, got {self.scales}"
            )
        if self.precision not in PRECISIONS:
            raise ValueError(
                f"precision: expected one of {', '.join(PRECISIONS)}, got {self.precision!r}"
            )
        if self.batch < 1:
            raise ValueError(f"batch: expected at least 1, got {self.batch}")

    @property
    def is_plain(self) -> bool:
        """Whether the network sees an image once and as a whole."""
        return self.window is None and not self.flip and tuple(self.scales) == (1.0,)


def _check_size(name: str, size: object) -> None:
    if not (
        isinstance(size, Sequence)
        and len(size) == 2
        and all(isinstance(length, int) and length > 0 for length in size)
    ):
        raise ValueError(f"{name}: expected (height, width) in pixels, got {size!r}")
