"""Predict images: panels to look at, and class maps to evaluate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from mtl_cuda.data import DatasetInfo, Scene, normalise, read_image, resize, write_png
from mtl_cuda.engine.evaluate import predict_maps
from mtl_cuda.engine.restore import Restored
from mtl_cuda.visualise import panel

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")

Maps = dict[str, npt.NDArray[np.generic]]
"""Predictions for one image: "semantic" int64 [H, W], "instance" [2, H, W], "depth" [H, W]."""


@torch.inference_mode()
def predict_image(
    network: nn.Module,
    image: npt.NDArray[np.uint8],
    info: DatasetInfo,
    size: tuple[int, int] | None,
    device: torch.device,
) -> Maps:
    """Predict one image; the results have its size and units, whatever size the network sees.

    Args:
        network: in evaluation mode.
        image: uint8 [H, W, 3], RGB.
        info: of the data set that the network was trained on.
        size: height and width at which the network sees the image; None is the image's own.
        device: that the network is on.
    """
    height, width = image.shape[:2]
    seen = size or (height, width)
    scene = resize(Scene.from_parts(image, "image"), seen, depth_unit=None)
    maps = predict_maps(network, normalise(scene.image)[None].to(device), (height, width))
    result = {task: prediction[0].cpu().numpy() for task, prediction in maps.items()}
    if "instance" in result:
        ratio = np.array([width / seen[1], height / seen[0]], np.float32)
        result["instance"] = result["instance"] * ratio[:, None, None]
    if "depth" in result:
        ratio_x = width / seen[1] if info.depth_unit == "px" else 1.0
        result["depth"] = result["depth"][0] * np.float32(ratio_x)
    return result


def predict_files(
    restored: Restored,
    images: Sequence[Path],
    out: Path,
    size: tuple[int, int] | None,
    device: torch.device,
) -> Iterator[Path]:
    """Write NAME_panel.png, and NAME_classes.png with the data set's regular ids, for each image.

    Args:
        restored: network and data set.
        images: files, see `find_images`.
        out: folder to write into; made where it is missing.
        size: as for `predict_image`; None takes the size that the network was trained at.
        device: that the network is on.

    Yields:
        the path of each panel when it is written.
    """
    out.mkdir(parents=True, exist_ok=True)
    for path in images:
        image = read_image(path)
        size_seen = size or restored.config.data.size
        maps = predict_image(restored.network, image, restored.info, size_seen, device)
        if "semantic" in maps:
            write_png(out / f"{path.stem}_classes.png", file_ids(maps["semantic"], restored.info))
        written = out / f"{path.stem}_panel.png"
        write_png(written, panel(image, maps, restored.info))
        yield written


def find_images(paths: Iterable[Path]) -> list[Path]:
    """The given files, and the images right inside the given folders, sorted within each.

    Raises:
        FileNotFoundError: a path is missing, or a folder has no image.
        ValueError: two images have one name, so that their results would overwrite each other.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file or folder")
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
            if not inside:
                raise FileNotFoundError(f"{path}: no {', '.join(IMAGE_SUFFIXES)} in this folder")
            found += inside
        else:
            found.append(path)
    by_stem: dict[str, Path] = {}
    for path in found:
        other = by_stem.setdefault(path.stem, path)
        if other is not path:
            raise ValueError(f"{other} and {path} have one name; predict them into two folders")
    return found


def file_ids(classes: npt.NDArray[np.generic], info: DatasetInfo) -> npt.NDArray[np.uint8]:
    """Classes 0..C-1 as the ids that files carry; 255 where the network gave no number (-1)."""
    table = np.array([*info.label_ids, 255], np.uint8)
    return table[classes.astype(np.int64)]
