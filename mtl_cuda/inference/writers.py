"""Results as files: panels to look at, maps and instances to use."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mtl_cuda.data import DatasetInfo, write_png
from mtl_cuda.data.io import write_bytes
from mtl_cuda.inference.depth_files import write_inverse_depth
from mtl_cuda.inference.result import SceneResult


def write_result(result: SceneResult, folder: Path, kinds: Collection[str]) -> None:
    """Write what is asked for of a result, and is there.

    - "classes": NAME_classes.png, uint8: the data set's regular ids; 255 is none;
    - "instances": NAME_instances.png, uint16: instance ids, 0 = none; and NAME_instances.json:
      class, label id, score, pixels and centre (x, y) of each;
    - "depth": NAME_depth.png, .json and .npy: see `write_inverse_depth`;
    - "panels": NAME_panel.png, everything side by side;
    - "overlay": NAME_overlay.png, drawn on the image.

    Args:
        result: its name begins those of the files.
        folder: to write into; made where it is missing.
        kinds: of the above.

    Raises:
        ValueError: an unknown kind, or more instances than a file can number.
        OSError: a file cannot be written.
    """
    unknown = set(kinds) - set(WRITERS)
    if unknown:
        raise ValueError(f"kinds: expected any of {', '.join(WRITERS)}, got {sorted(unknown)}")
    folder.mkdir(parents=True, exist_ok=True)
    for kind, write in WRITERS.items():
        if kind in kinds:
            write(result, folder)


def file_ids(classes: npt.NDArray[np.uint8], info: DatasetInfo) -> npt.NDArray[np.uint8]:
    """Classes 0..C-1 as the ids that files carry; 255 where the network gave no number."""
    table = np.full(256, 255, np.uint8)
    table[: info.num_classes] = info.label_ids
    return table[classes]


def _write_classes(result: SceneResult, folder: Path) -> None:
    if result.classes is not None:
        ids = file_ids(result.classes, result.info)
        write_png(folder / f"{result.name}_classes.png", ids)


def _write_instances(result: SceneResult, folder: Path) -> None:
    if result.instances is None:
        return
    count = len(result.instances.table)
    if count > np.iinfo(np.uint16).max:
        raise ValueError(
            f"{result.name}: {count} instances are more than a 16-bit PNG can number; "
            "a larger instances.min_samples or instances.min_pixels gives fewer"
        )
    rows = [
        {
            "id": row.id,
            "class": row.class_name,
            "label_id": row.label_id,
            "score": round(row.score, 4),
            "pixels": row.pixels,
            "centre": [round(place, 2) for place in row.centre],
        }
        for row in result.instances.table
    ]
    write_png(folder / f"{result.name}_instances.png", result.instances.ids.astype(np.uint16))
    content = json.dumps(rows, indent=1).encode() + b"\n"
    write_bytes(folder / f"{result.name}_instances.json", content)


def _write_depth(result: SceneResult, folder: Path) -> None:
    if result.inverse_depth is not None and result.depth_unit is not None:
        write_inverse_depth(folder, result.name, result.inverse_depth, result.depth_unit)


def _write_panel(result: SceneResult, folder: Path) -> None:
    write_png(folder / f"{result.name}_panel.png", result.panel())


def _write_overlay(result: SceneResult, folder: Path) -> None:
    write_png(folder / f"{result.name}_overlay.png", result.overlay())


WRITERS: dict[str, Callable[[SceneResult, Path], None]] = {
    "classes": _write_classes,
    "instances": _write_instances,
    "depth": _write_depth,
    "panels": _write_panel,
    "overlay": _write_overlay,
}
"""By kind, what writes it."""
