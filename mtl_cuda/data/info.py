"""What a data set says about itself: classes, colours, units."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DatasetInfo:
    """Metadata that training, metrics and pictures need.

    Attributes:
        name: of the data set.
        class_names: name of each trainId 0..C-1.
        palette: colour (red, green, blue; 0..255) of each trainId.
        thing_classes: trainIds whose objects are told apart as instances.
        label_ids: for each trainId the regular id that files written for evaluation carry.
        depth_unit: "1/m" (inverse depth), "px" (disparity of the image as it is given), or
            None where there is no depth.
        image_size: (height, width), or None where images differ in size.

    Raises:
        ValueError: lengths disagree, a thing class is no class, or the unit is unknown.
    """

    name: str
    class_names: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    thing_classes: tuple[int, ...] = ()
    label_ids: tuple[int, ...] = ()
    depth_unit: str | None = None
    image_size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        for field in ("palette", "label_ids"):
            length = len(getattr(self, field))
            if length != self.num_classes:
                raise ValueError(f"{field} has {length} entries for {self.num_classes} class names")
        outside = [c for c in self.thing_classes if not 0 <= c < self.num_classes]
        if outside:
            raise ValueError(
                f"thing_classes {outside} are outside the trainIds 0..{self.num_classes - 1}"
            )
        check_depth_unit(self.depth_unit)

    @property
    def num_classes(self) -> int:
        """Number of trainIds, the ignored one not counted."""
        return len(self.class_names)


def check_depth_unit(unit: str | None) -> None:
    """Raise ValueError unless `unit` is "1/m", "px" or None."""
    if unit not in ("1/m", "px", None):
        raise ValueError(f"depth_unit must be '1/m', 'px' or None, got {unit!r}")
