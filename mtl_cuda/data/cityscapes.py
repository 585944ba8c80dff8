"""Cityscapes in its layout on disk; generated scenes have the same one.

Source: Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding", CVPR 2016.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from mtl_cuda.data import layout
from mtl_cuda.data.formats import (
    decode_disparity,
    inverse_depth_from_disparity,
    read_camera,
    split_instance_ids,
)
from mtl_cuda.data.info import DatasetInfo
from mtl_cuda.data.io import read_image, read_png
from mtl_cuda.data.labels import CITYSCAPES_INFO
from mtl_cuda.data.prepared import read_marker
from mtl_cuda.data.scene import Scene
from mtl_cuda.data.source import check_same_size, no_images_error
from mtl_cuda.data.transforms import resize

DepthKind = Literal["metric", "disparity"]
_DEPTH_UNITS = {"metric": "1/m", "disparity": "px", None: None}


class _Files(NamedTuple):
    """The files of one sample; None for those it lacks."""

    name: str
    image: Path
    labels: Path | None
    disparity: Path | None
    camera: Path | None


class CityscapesDataset:
    """One split of a Cityscapes tree.

    Files, with NAME beginning with its city::

        ROOT/leftImg8bit/SPLIT/CITY/NAME_leftImg8bit.png
        ROOT/gtFine/SPLIT/CITY/NAME_gtFine_instanceIds.png   semantics and instances
        ROOT/gtFine/SPLIT/CITY/NAME_gtFine_labelIds.png      semantics, where the former is missing
        ROOT/disparity/SPLIT/CITY/NAME_disparity.png
        ROOT/camera/SPLIT/CITY/NAME_camera.json

    A sample may lack anything but its image: that part of its scene is then fully invalid. Of a
    prepared tree (see `mtl_cuda.data.prepare`) the scenes are those of its source, resized.

    Args:
        root: folder that holds leftImg8bit.
        split: "train", "val", "test", or whatever folder there is.
        depth: "metric" gives inverse depth in 1/m, which needs the camera files; "disparity" gives
            pixels; None reads no disparities.
        disparity: folder of the disparities, for example "disparity_gt" in a generated tree.
        size: (height, width) to which scenes are resized when loaded; None leaves them.

    Attributes:
        info: metadata; its depth unit follows `depth`, its image size is `size`.
        counts: how many samples have a file of each kind: "images", "labels", "disparities",
            "cameras".

    Raises:
        FileNotFoundError: there is no image; names what was looked for and what is there.
        ValueError: `depth` is unknown, or metric depth is asked for and no disparity has a camera.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str,
        *,
        depth: DepthKind | None = "metric",
        disparity: str = "disparity",
        size: tuple[int, int] | None = None,
    ) -> None:
        if depth not in _DEPTH_UNITS:
            raise ValueError(f"depth must be 'metric', 'disparity' or None, got {depth!r}")
        self.info: DatasetInfo = replace(
            CITYSCAPES_INFO, depth_unit=_DEPTH_UNITS[depth], image_size=size
        )
        self._size = size
        self._metric = depth == "metric"
        prepared = read_marker(root)
        self._disparity_ratio = 1.0 if prepared is None else prepared.width_ratio
        self._files = _find_files(Path(root), split, disparity if depth else None, self._metric)
        self.counts = {
            "images": len(self._files),
            "labels": sum(files.labels is not None for files in self._files),
            "disparities": sum(files.disparity is not None for files in self._files),
            "cameras": sum(files.camera is not None for files in self._files),
        }
        if self._metric and self.counts["disparities"] and not self.counts["cameras"]:
            raise ValueError(
                f"{root} has disparities but no file camera/{split}/*/*_camera.json, which metric "
                "depth needs; use depth='disparity' for pixels, or depth=None for no depth"
            )

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
        files = self._files[index]
        image = read_image(files.image)
        parts: dict[str, npt.NDArray[Any]] = {}
        if files.labels is not None:
            parts["semantic"], parts["instance"] = _read_labels(files.labels)
            check_same_size(files.image, image, files.labels, parts["semantic"])
        if files.disparity is not None and (files.camera is not None or not self._metric):
            parts["inverse_depth"] = _read_depth(
                files.disparity, files.camera, self._disparity_ratio
            )
            check_same_size(files.image, image, files.disparity, parts["inverse_depth"])
        scene = Scene.from_parts(image, files.name, **parts)
        if self._size is None:
            return scene
        return resize(scene, self._size, depth_unit=self.info.depth_unit)


def _find_files(root: Path, split: str, disparity: str | None, metric: bool) -> list[_Files]:
    images = layout.find_part(root, layout.IMAGE, split)
    if not images:
        wanted = layout.part_path(root, layout.IMAGE, split, "*", "*")
        raise no_images_error(wanted, root / layout.IMAGE.folder)
    labels = layout.find_part(root, layout.LABEL_IDS, split)
    labels |= layout.find_part(root, layout.INSTANCE_IDS, split)
    disparities = (
        layout.find_part(root, layout.disparity_part(disparity), split) if disparity else {}
    )
    cameras = layout.find_part(root, layout.CAMERA, split) if metric else {}
    return [
        _Files(key[1], image, labels.get(key), disparities.get(key), cameras.get(key))
        for key, image in sorted(images.items())
    ]


def _read_labels(path: Path) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    ids = read_png(path)
    try:
        return split_instance_ids(ids)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _read_depth(path: Path, camera: Path | None, ratio: float) -> npt.NDArray[np.float32]:
    """Inverse depth in 1/m; without a camera, disparity, `ratio` times that of the file."""
    stored = read_png(path)
    if stored.dtype != np.uint16:
        raise ValueError(f"{path}: a disparity file has 16 bits, got {stored.dtype}")
    disparity = decode_disparity(stored)
    if camera is None:
        return disparity * np.float32(ratio)
    return inverse_depth_from_disparity(disparity, read_camera(camera))
