"""Every knob of the generated scenes, in one place."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

Range = tuple[float, float]


@dataclass(frozen=True)
class SynthConfig:
    """What the generated streets look like. Lengths in metres, angles in degrees.

    A pair of numbers is a range: each scene draws its own value from it, evenly. Counts are means:
    each scene draws its own number of objects (Poisson).

    Attributes:
        focal: focal length as a fraction of the image width (range). Smaller sees more.
        horizon: row of the horizon as a fraction of the image height (range).
        camera_height: height of the cameras above the road (range).
        yaw: largest angle between the viewing direction and the street, to either side.
        baseline: distance between the two cameras. Disparity = focal length * baseline / depth.
        nearest: no object is nearer than this.
        street_length: distance to the end of the street (range).
        urban: probability that a side of the street is built up house by house.
        park: probability that it is a park; what remains are gardens, walls, fences and houses.
        crossing: probability of a cross street.
        moving_cars: mean number of cars in the lanes.
        parked: probability that a free place at the kerb holds a parked vehicle.
        large_vehicles: mean number of trucks, buses and trams.
        persons: mean number of persons on foot.
        riders: mean number of bicycle and motorcycle riders.
        parked_bikes: mean number of bicycles and motorcycles without a rider.
        clutter: mean number of bins and boxes, which belong to no evaluated class.
        trees: probability of a row of trees along a side of a built-up street.
        overcast: probability of a grey sky and hardly any shadows.
        haze: share of the light that fog takes away per metre (range).
        exposure: overall brightness (range; 1 is normal).
        texture: strength of the grain of every surface (0 = flat colours). Stereo matching and
            recognition by texture get harder as it falls.
        colour_ambiguity: 0..1, how far the colours of road, sidewalk, walls and houses are drawn
            towards one common grey, which makes classes harder to tell by colour.
        noise: standard deviation of the sensor noise at full brightness, as a fraction of it
            (range); each view has its own.
        min_instance_pixels: an object of which fewer pixels are visible keeps its semantic label
            but is no instance (Cityscapes calls such pixels a group).

    Raises:
        ValueError: a value is not finite, outside its limits, or a range is not increasing.
    """

    focal: Range = (0.8, 1.0)
    horizon: Range = (0.40, 0.50)
    camera_height: Range = (1.4, 1.9)
    yaw: float = 6.0
    baseline: float = 0.5
    nearest: float = 5.0

    street_length: Range = (60.0, 140.0)
    urban: float = 0.55
    park: float = 0.15
    crossing: float = 0.5

    moving_cars: float = 4.0
    parked: float = 0.5
    large_vehicles: float = 0.5
    persons: float = 6.0
    riders: float = 1.2
    parked_bikes: float = 1.2
    clutter: float = 1.0
    trees: float = 0.4

    overcast: float = 0.4
    haze: Range = (0.0, 0.006)
    exposure: Range = (0.8, 1.2)
    texture: float = 1.0
    colour_ambiguity: float = 0.3
    noise: Range = (0.005, 0.02)
    min_instance_pixels: int = 10

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            low, high = _LIMITS.get(field.name, (0.0, math.inf))
            numbers = value if isinstance(value, tuple) else (value,)
            if not all(math.isfinite(number) and low <= number <= high for number in numbers):
                raise ValueError(f"{field.name} must lie in {low}..{high}, got {value}")
            if isinstance(value, tuple) and not (len(value) == 2 and value[0] <= value[1]):
                raise ValueError(f"{field.name} must be a range (low, high), got {value}")

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> SynthConfig:
        """Fill a configuration by names, as a YAML file has them; what is left out has its default.

        Raises:
            ValueError: an unknown name, or a value that is no number or no pair of numbers where
                one is needed; as above.
        """
        kinds = {field.name: field.default for field in fields(cls)}
        for name, value in values.items():
            if name not in kinds:
                nearest = difflib.get_close_matches(str(name), kinds, 1, cutoff=0.0)[0]
                raise ValueError(f"unknown setting {name}: did you mean {nearest}?")
            _check_kind(name, value, kinds[name])
        arguments: dict[str, Any] = {
            name: tuple(v) if isinstance(v, list) else v for name, v in values.items()
        }
        return cls(**arguments)


def _check_kind(name: str, value: Any, default: Any) -> None:
    numbers = list(value) if isinstance(value, (list, tuple)) else [value]
    wanted = int if isinstance(default, int) else (int, float)
    are_numbers = all(isinstance(n, wanted) and not isinstance(n, bool) for n in numbers)
    is_pair = isinstance(value, (list, tuple))
    if not are_numbers or is_pair != isinstance(default, tuple):
        kind = "a pair of numbers" if isinstance(default, tuple) else "a number"
        kind = "a whole number" if wanted is int else kind
        raise ValueError(f"{name}: expected {kind} such as {default}, got {value!r}")


_PROBABILITY = (0.0, 1.0)
_LIMITS: dict[str, Range] = {
    "focal": (0.3, 3.0),
    "horizon": (0.2, 0.8),
    "camera_height": (0.8, 4.0),
    "yaw": (0.0, 20.0),
    "baseline": (0.01, 2.0),
    "nearest": (3.0, 50.0),
    "street_length": (30.0, 300.0),
    "urban": _PROBABILITY,
    "park": _PROBABILITY,
    "crossing": _PROBABILITY,
    "parked": _PROBABILITY,
    "trees": _PROBABILITY,
    "overcast": _PROBABILITY,
    "colour_ambiguity": _PROBABILITY,
    "haze": (0.0, 0.1),
    "exposure": (0.1, 3.0),
    "noise": (0.0, 0.5),
}
