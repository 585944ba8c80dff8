"""The street's plan: lanes, kerbs, pavements and a cross street, all straight."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mtl_cuda.data.synth.config import SynthConfig

KERB = 0.12
"""Height of the pavements above the road in metres."""


@dataclass(frozen=True)
class Side:
    """One side of the street, in metres from the kerb outwards.

    Attributes:
        parking: width of the parking places, which belong to the road.
        pavement: width of the pavement.
        green: width of the lawn behind it, up to the houses or the fence.
        style: "urban", "gardens" or "park".
    """

    parking: float
    pavement: float
    green: float
    style: str


@dataclass(frozen=True)
class Street:
    """A plan of the ground. x is measured from the line between the directions of traffic.

    Attributes:
        lane: width of a lane.
        lanes: number of lanes (oncoming on the left, ours on the right).
        left: the left side; `right` the right side.
        crossing: z at which a cross street begins and ends, or None.
        zebra: whether there is a pedestrian crossing before the cross street.
        dashed: whether the line in the middle is dashed.
        end: z at which the street ends.
    """

    lane: float
    lanes: tuple[int, int]
    left: Side
    right: Side
    crossing: tuple[float, float] | None
    zebra: bool
    dashed: bool
    end: float

    @classmethod
    def sample(cls, rng: np.random.Generator, config: SynthConfig) -> Street:
        """Draw a street."""
        end = rng.uniform(*config.street_length)
        start = rng.uniform(16.0, 0.6 * end)
        crossing = (
            (start, start + rng.uniform(8.0, 13.0)) if rng.random() < config.crossing else None
        )
        return cls(
            lane=rng.uniform(3.1, 3.6),
            lanes=(int(rng.choice([1, 2], p=[0.7, 0.3])), int(rng.choice([1, 2], p=[0.7, 0.3]))),
            left=_sample_side(rng, config),
            right=_sample_side(rng, config),
            crossing=crossing,
            zebra=rng.random() < 0.7,
            dashed=rng.random() < 0.7,
            end=end,
        )

    def side(self, sign: int) -> Side:
        """The left (-1) or right (1) side."""
        return self.left if sign < 0 else self.right

    def kerb(self, sign: int) -> float:
        """The x of the left (-1) or right (1) kerb."""
        lanes = self.lanes[0 if sign < 0 else 1]
        return sign * (lanes * self.lane + self.side(sign).parking)

    def edge(self, sign: int) -> float:
        """The x at which houses, fences or trees begin."""
        side = self.side(sign)
        return self.kerb(sign) + sign * (side.pavement + side.green)

    def is_raised(self, x: npt.ArrayLike, z: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Whether the ground at (x, z) lies at the height of the pavements."""
        x, z = np.asarray(x), np.asarray(z)
        raised = (x < self.kerb(-1)) | (x > self.kerb(1))
        if self.crossing:
            raised &= (z < self.crossing[0]) | (z > self.crossing[1])
        return raised

    def height(self, x: float, z: float) -> float:
        """Height of the ground at (x, z)."""
        return KERB if self.is_raised(x, z) else 0.0

    def near_crossing(self, low: float, high: float, margin: float = 0.0) -> bool:
        """Whether z in `low`..`high` comes within `margin` of the cross street."""
        if self.crossing is None:
            return False
        return low < self.crossing[1] + margin and high > self.crossing[0] - margin


def _sample_side(rng: np.random.Generator, config: SynthConfig) -> Side:
    chance = rng.random()
    if chance < config.urban:
        style, green = "urban", 0.0
    elif chance < config.urban + config.park:
        style, green = "park", rng.uniform(3.0, 8.0)
    else:
        style, green = "gardens", float(rng.choice([0.0, rng.uniform(1.0, 3.0)]))
    parking = 2.2 if rng.random() < 0.65 else 0.0
    return Side(parking, rng.uniform(1.8, 4.0), green, style)
