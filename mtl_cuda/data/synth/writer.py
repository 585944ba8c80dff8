"""A data set of generated scenes, as a complete Cityscapes tree."""

from __future__ import annotations

import json
import math
import os
import shutil
import uuid
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from mtl_cuda.data import layout
from mtl_cuda.data.formats import (
    encode_disparity,
    join_instance_ids,
    label_ids_from_train_ids,
    write_camera,
)
from mtl_cuda.data.io import require_cv2, write_bytes, write_png
from mtl_cuda.data.parallel import map_jobs
from mtl_cuda.data.sgm import semi_global_matching
from mtl_cuda.data.synth.config import SynthConfig
from mtl_cuda.data.synth.generate import generate_scene

GENERATOR_VERSION = 1
"""Raised whenever the same seed would give other scenes than before."""
METADATA = "synth.json"
"""Name of the file at the root that says how the data set was made."""
CITY = "synth"
_SPLITS = ("train", "val")
_PSEUDO = layout.disparity_part()
_EXACT = layout.disparity_part("disparity_gt")
_PARTS = (layout.IMAGE, layout.RIGHT_IMAGE, layout.LABEL_IDS, layout.CAMERA, _PSEUDO, _EXACT)
_Job = tuple[Path, str, int, tuple[int, int], int, SynthConfig]


def write_dataset(
    out: str | os.PathLike[str],
    train: int,
    val: int,
    size: tuple[int, int] = (128, 256),
    seed: int = 0,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
    *,
    config: SynthConfig | None = None,
    overwrite: bool = False,
) -> Path:
    """Generate scenes and write them as a Cityscapes tree.

    Files are OUT/{leftImg8bit,rightImg8bit,gtFine,camera,disparity,disparity_gt}/{train,val}/synth/
    synth_<number>_000000_<kind>: both views, label ids, instance ids, the camera, the disparity
    that semi-global matching finds, and the exact one; and OUT/synth.json. Scene i of a split
    depends on the seed, the split, i, the size and the config alone. OUT appears when everything
    is written: an interrupted run leaves nothing under that name.

    Args:
        out: folder to make; it may exist if it is empty.
        train: number of training scenes.
        val: number of validation scenes.
        size: (height, width) in pixels.
        seed: non-negative.
        workers: processes; up to 1 = this one. More are started afresh ("spawn"), so a script
            that asks for them needs the usual `if __name__ == "__main__":`.
        progress: called in this process as progress(done, total) after each scene.
        config: the generator's knobs; None = their defaults.
        overwrite: replace a data set that this function wrote before.

    Returns:
        The absolute path of `out`.

    Raises:
        FileExistsError: `out` is a file or holds something, and `overwrite` does not allow for it.
        ImportError: OpenCV is missing.
        ValueError: a number is negative, there is no scene to write, or `size` is too small.
    """
    out = Path(out).resolve()
    config = config or SynthConfig()
    for name, value in (("train", train), ("val", val), ("seed", seed)):
        if value < 0:
            raise ValueError(f"{name} must be at least 0, got {value}")
    if train + val == 0:
        raise ValueError("train + val must be at least 1, got 0 scenes")
    require_cv2()
    _check_target(out, overwrite)
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.{uuid.uuid4().hex}.tmp")
    try:
        _make_folders(temporary, {"train": train, "val": val})
        jobs: list[_Job] = [
            (temporary, split, index, size, seed, config)
            for split, count in zip(_SPLITS, (train, val))
            for index in range(count)
        ]
        for done, _ in enumerate(map_jobs(write_scene, jobs, workers), start=1):
            if progress is not None:
                progress(done, len(jobs))
        write_bytes(temporary / METADATA, _metadata(train, val, size, seed, config))
        _move_into_place(temporary, out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return out


def write_scene(job: _Job) -> None:
    """Generate one scene and write its files: (root, split, index, size, seed, config)."""
    root, split, index, size, seed, config = job
    scene = generate_scene(size, (seed, _SPLITS.index(split), index), config)
    name = f"{CITY}_{index:06d}_000000"

    def path(part: layout.Part) -> Path:
        return layout.part_path(root, part, split, CITY, name)

    disparities = 16 * math.ceil((float(scene.disparity.max()) + 1) / 16)
    matched = semi_global_matching(scene.left, scene.right, disparities)
    write_png(path(layout.IMAGE), scene.left)
    write_png(path(layout.RIGHT_IMAGE), scene.right)
    write_png(path(layout.LABEL_IDS), label_ids_from_train_ids(scene.semantic))
    write_png(path(layout.INSTANCE_IDS), join_instance_ids(scene.semantic, scene.instance))
    write_png(path(_EXACT), encode_disparity(scene.disparity))
    write_png(path(_PSEUDO), encode_disparity(matched))
    write_camera(path(layout.CAMERA), scene.camera)


def _check_target(out: Path, overwrite: bool) -> None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / METADATA).is_file():
        raise FileExistsError(f"{out} exists and is no generated data set; choose another folder")
    if not overwrite:
        raise FileExistsError(f"{out} holds a data set; overwrite=True (--overwrite) replaces it")


def _make_folders(root: Path, counts: dict[str, int]) -> None:
    for split, count in counts.items():
        for part in _PARTS if count else ():
            layout.part_path(root, part, split, CITY, "").parent.mkdir(parents=True, exist_ok=True)


def _metadata(train: int, val: int, size: tuple[int, int], seed: int, config: SynthConfig) -> bytes:
    content = {
        "generator": "mtl_cuda.data.synth",
        "version": GENERATOR_VERSION,
        "seed": seed,
        "size": list(size),
        "train": train,
        "val": val,
        "config": asdict(config),
    }
    return json.dumps(content, indent=2).encode() + b"\n"


def _move_into_place(temporary: Path, out: Path) -> None:
    """Put the finished tree where it belongs; an earlier one is removed only after that."""
    old = out.with_name(f"{temporary.name}.old")
    if out.exists():
        out.rename(old)
    try:
        temporary.rename(out)
    except OSError:
        if old.exists():
            old.rename(out)
        raise
    shutil.rmtree(old, ignore_errors=True)
