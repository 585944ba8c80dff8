"""Predict files: panels to look at, class maps and instances to use."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mtl_cuda.clustering.result import InstanceClusters
from mtl_cuda.data import DatasetInfo, read_image, write_png
from mtl_cuda.data.io import write_bytes
from mtl_cuda.inference.restore import Restored
from mtl_cuda.inference.scene import as_maps, predict_scene
from mtl_cuda.visualise import panel

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")


def predict_files(
    restored: Restored,
    images: Sequence[Path],
    out: Path,
    size: tuple[int, int] | None,
) -> Iterator[Path]:
    """Write what the network predicts for each image.

    - NAME_panel.png to look at;
    - NAME_classes.png, uint8: the data set's regular ids;
    - NAME_instances.png, uint16: instance ids, 0 = none; and NAME_instances.json: class, label id,
      score, pixels and centre (x, y) of each.

    Args:
        restored: network and data set.
        images: files, see `find_images`.
        out: folder to write into; made where it is missing.
        size: as for `predict_scene`; None takes the size that the network was trained at.

    Yields:
        the path of each panel when it is written.
    """
    out.mkdir(parents=True, exist_ok=True)
    network, info, device = restored.network, restored.info, restored.device
    size = size or restored.config.data.size
    for path in images:
        image = read_image(path)
        prediction = predict_scene(network, image, info, size, device, restored.instances)
        maps = as_maps(prediction)
        if "semantic" in maps:
            write_png(out / f"{path.stem}_classes.png", file_ids(maps["semantic"], info))
        if "instances" in prediction:
            _write_instances(out, path.stem, prediction["instances"], info)
        written = out / f"{path.stem}_panel.png"
        write_png(written, panel(image, maps, info))
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


def _write_instances(out: Path, name: str, instances: InstanceClusters, info: DatasetInfo) -> None:
    """Write the instances of a batch of one as a PNG of ids and a JSON table."""
    if len(instances.classes[0]) > np.iinfo(np.uint16).max:
        raise ValueError(
            f"{name}: {len(instances.classes[0])} instances are more than a 16-bit PNG can number; "
            "a larger instances.min_samples or instances.min_pixels gives fewer"
        )
    tables = (instances.classes, instances.scores, instances.counts, instances.centroids)
    rows = [
        {
            "id": number,
            "class": info.class_names[kind],
            "label_id": info.label_ids[kind],
            "score": round(score, 4),
            "pixels": pixels,
            "centre": [round(x, 2), round(y, 2)],
        }
        for number, (kind, score, pixels, (x, y)) in enumerate(
            zip(*(table[0].tolist() for table in tables)), start=1
        )
    ]
    ids = instances.ids[0].cpu().numpy().astype(np.uint16)
    write_png(out / f"{name}_instances.png", ids)
    write_bytes(out / f"{name}_instances.json", json.dumps(rows, indent=1).encode() + b"\n")
