"""CamVid's driving scenes in the layout of SegNet's tutorial: 11 classes, semantics only.

Source: Brostow et al., "Semantic object classes in video: A high-definition ground truth database",
2009; layout and classes: Badrinarayanan et al., "SegNet", 2017.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mtl_cuda.data.info import DatasetInfo
from mtl_cuda.data.io import read_image, read_png
from mtl_cuda.data.scene import IGNORE, Scene
from mtl_cuda.data.source import check_same_size, no_images_error
from mtl_cuda.data.transforms import resize

_CLASSES = {
    "sky": (128, 128, 128),
    "building": (128, 0, 0),
    "pole": (192, 192, 128),
    "road": (128, 64, 128),
    "pavement": (0, 0, 192),
    "tree": (128, 128, 0),
    "sign": (192, 128, 128),
    "fence": (64, 64, 128),
    "car": (64, 0, 128),
    "pedestrian": (64, 64, 0),
    "bicyclist": (0, 128, 192),
}

CAMVID_INFO = DatasetInfo(
    name="camvid",
    class_names=tuple(_CLASSES),
    palette=tuple(_CLASSES.values()),
    label_ids=tuple(range(len(_CLASSES))),
    image_size=(360, 480),
)
"""CamVid at the size of SegNet's copy."""

_VOID = len(_CLASSES)
_SUFFIXES = {".png", ".jpg", ".jpeg"}


class CamVidDataset:
    """One split of CamVid: ROOT/SPLIT/NAME.png (or .jpg) and ROOT/SPLITannot/NAME.png.

    An image without annotation is fully ignored; every scene lacks instances and depth.

    Args:
        root: folder that holds the splits.
        split: "train", "val", "test", or whatever folder there is.
        size: (height, width) to which scenes are resized when loaded; None leaves them.

    Attributes:
        info: metadata; its image size is `size`.
        counts: how many samples have a file of each kind: "images", "labels".

    Raises:
        FileNotFoundError: there is no image; names what was looked for and what is there.
    """

    def __init__(
        self, root: str | os.PathLike[str], split: str, *, size: tuple[int, int] | None = None
    ) -> None:
        self.info: DatasetInfo = replace(CAMVID_INFO, image_size=size)
        self._size = size
        self._files = find_camvid(Path(root), split)
        if not self._files:
            raise no_images_error(Path(root, split, "*.png (or .jpg)"), Path(root))
        labelled = sum(labels is not None for _, labels in self._files)
        self.counts = {"images": len(self._files), "labels": labelled}

    def __len__(self) -> int:
        return len(self._files)

    def scene(self, index: int) -> Scene:
        """Load one scene.

        Raises:
            IndexError: there is no such scene.
            FileNotFoundError: a file has gone since the data set was opened.
            ValueError: a file is damaged, of another size than its image, or holds impossible
                values; names the file.
        """
        path, label_path = self._files[index]
        image, semantic = read_image(path), None
        if label_path is not None:
            semantic = _read_labels(label_path)
            check_same_size(path, image, label_path, semantic)
        scene = Scene.from_parts(image, path.stem, semantic=semantic)
        return scene if self._size is None else resize(scene, self._size, depth_unit=None)


def find_camvid(root: Path, split: str) -> list[tuple[Path, Path | None]]:
    """The images of a split, each with its annotation where it has one."""
    labels = {path.stem: path for path in (root / f"{split}annot").glob("*.png")}
    images = sorted(p for p in (root / split).glob("*") if p.suffix.lower() in _SUFFIXES)
    return [(image, labels.get(image.stem)) for image in images]


def _read_labels(path: Path) -> npt.NDArray[np.uint8]:
    """Read an annotation as trainIds: void becomes 255."""
    labels = read_png(path)
    if labels.max() > _VOID:
        raise ValueError(f"{path}: value {labels.max()} is no CamVid class (0..{_VOID})")
    return np.where(labels == _VOID, IGNORE, labels).astype(np.uint8)
