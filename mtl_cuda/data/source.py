"""What a data set must offer, and what reading one has in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mtl_cuda.data.info import DatasetInfo
from mtl_cuda.data.scene import Scene


class SceneSource(Protocol):
    """A data set: scenes by index, and what they mean."""

    @property
    def info(self) -> DatasetInfo:
        """Classes, colours and units of the scenes."""

    def __len__(self) -> int:
        """Number of scenes."""

    def scene(self, index: int) -> Scene:
        """Load one scene.

        Raises:
            IndexError: there is no such scene.
            OSError, ValueError: a file of it is missing or damaged; the message names the file.
        """


def no_images_error(wanted: Path, parent: Path) -> FileNotFoundError:
    """Say which images were looked for, and what lies where the splits should be."""
    if not parent.is_dir():
        found = f"{parent} is not a folder"
    else:
        folders = sorted(path.name for path in parent.iterdir() if path.is_dir())
        found = f"{parent} has the folders {', '.join(folders) or '(none)'}"
    return FileNotFoundError(f"no image found: looked for {wanted}; {found}")


def check_same_size(
    image_path: Path, image: npt.NDArray[np.uint8], path: Path, array: npt.NDArray[Any]
) -> None:
    """Raise ValueError naming both files unless an image and its map are of one size."""
    if image.shape[:2] != array.shape:
        raise ValueError(
            f"{path} is {array.shape[1]} x {array.shape[0]} pixels, but its image {image_path} is "
            f"{image.shape[1]} x {image.shape[0]}"
        )
