"""The marker of a data set that was resized once and for all: see `mtl_cuda.data.prepare`."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from mtl_cuda.data.io import write_bytes

MARKER = "prepared.json"
"""Name of the file at the root of a prepared data set."""
_VERSION = 1


@dataclass(frozen=True)
class Prepared:
    """How a data set was made from another.

    Attributes:
        source: the folder that it was made from.
        layout: "cityscapes" or "camvid".
        source_size: height and width of the source's images.
        size: height and width of the images.
        counts: images by split.
        version: of the format.
    """

    source: str
    layout: str
    source_size: tuple[int, int]
    size: tuple[int, int]
    counts: dict[str, int]
    version: int = _VERSION

    @property
    def width_ratio(self) -> float:
        """By what a disparity in pixels of the source becomes one of these images."""
        return self.size[1] / self.source_size[1]


def write_marker(root: Path, prepared: Prepared) -> None:
    """Write prepared.json.

    Raises:
        OSError: the file cannot be written.
    """
    write_bytes(root / MARKER, json.dumps(asdict(prepared), indent=2).encode() + b"\n")


def read_marker(root: str | os.PathLike[str]) -> Prepared | None:
    """Read prepared.json; None where `root` is no prepared data set.

    Raises:
        ValueError: the file is damaged or of another version; names it.
    """
    path = Path(root, MARKER)
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_bytes())
        if content.get("version") != _VERSION:
            raise ValueError(f"version {content.get('version')}, expected {_VERSION}")
        for name in ("size", "source_size"):
            content[name] = (int(content[name][0]), int(content[name][1]))
        return Prepared(**content)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: not the marker of a prepared data set: {error}") from error


def check_size(root: str | os.PathLike[str], size: tuple[int, int] | None) -> None:
    """Make sure that scenes of a prepared data set are not resized a second time.

    Args:
        root: of any data set.
        size: height and width to which its scenes would be resized; None leaves them.

    Raises:
        ValueError: they would be; names both sizes.
    """
    prepared = read_marker(root)
    if prepared is not None and size is not None and tuple(size) != prepared.size:
        raise ValueError(
            f"data.size: expected {list(prepared.size)} or null, got {list(size)}: {root} was "
            f"prepared at that size from {prepared.source}; use it, or prepare another one"
        )
