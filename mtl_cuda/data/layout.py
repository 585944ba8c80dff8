"""Where the files of a Cityscapes tree lie: one place for reading and writing them.

A file is ROOT/FOLDER/SPLIT/CITY/NAME + SUFFIX, for example
ROOT/gtFine/val/frankfurt/frankfurt_000000_000294_gtFine_instanceIds.png.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Part(NamedTuple):
    """A kind of file: the folder under the root, and how its file names end."""

    folder: str
    suffix: str


IMAGE = Part("leftImg8bit", "_leftImg8bit.png")
RIGHT_IMAGE = Part("rightImg8bit", "_rightImg8bit.png")
LABEL_IDS = Part("gtFine", "_gtFine_labelIds.png")
INSTANCE_IDS = Part("gtFine", "_gtFine_instanceIds.png")
POLYGONS = Part("gtFine", "_gtFine_polygons.json")
CAMERA = Part("camera", "_camera.json")


def disparity_part(folder: str = "disparity") -> Part:
    """Disparities of any source; the file names end alike whatever the folder is called."""
    return Part(folder, "_disparity.png")


def part_path(root: Path, part: Part, split: str, city: str, name: str) -> Path:
    """Path of one file of the sample `name` (which starts with its city, as in Cityscapes)."""
    return root / part.folder / split / city / (name + part.suffix)


def find_part(root: Path, part: Part, split: str) -> dict[tuple[str, str], Path]:
    """All files of one kind, by city and name."""
    files = (root / part.folder / split).glob("*/*" + part.suffix)
    return {(path.parent.name, path.name.removesuffix(part.suffix)): path for path in files}
