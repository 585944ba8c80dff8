"""What is done to a pair beside matching it."""

from __future__ import annotations

from dataclasses import dataclass

from mtl_cuda.data.formats import MAX_DISPARITY
from mtl_cuda.data.sgm import SgmSettings

SKY = ("far", "invalid", "matched")
_MOST_DISPARITIES = int(MAX_DISPARITY) + 1


@dataclass(frozen=True)
class StereoOptions:
    """How pairs become disparity files.

    Attributes:
        sgm: how to match.
        half: match views of half the size; `sgm.num_disparities` counts pixels of the full size.
        mask_labels: make the ego vehicle, the rectification border and what is out of the region of
            interest invalid, where there are label ids.
        sky: with `mask_labels`, what becomes of the class sky: "far" = disparity 0, valid;
            "invalid"; "matched" = as found.

    Raises:
        ValueError: a value is unknown, or files cannot hold the disparities.
    """

    sgm: SgmSettings
    half: bool = False
    mask_labels: bool = False
    sky: str = "far"

    def __post_init__(self) -> None:
        number = self.sgm.num_disparities
        if number > _MOST_DISPARITIES:
            raise ValueError(
                f"num_disparities must be at most {_MOST_DISPARITIES} to be written, got {number}"
            )
        if self.half and number % 32:
            raise ValueError(
                f"num_disparities must be a multiple of 32 at half resolution, got {number}"
            )
        if self.sky not in SKY:
            raise ValueError(f"sky must be one of {', '.join(SKY)}, got {self.sky!r}")
