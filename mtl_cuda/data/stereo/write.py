"""Disparity files for many pairs, in processes; an interrupted run goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mtl_cuda.data import layout
from mtl_cuda.data.formats import encode_disparity
from mtl_cuda.data.imagefile import Header, read_header
from mtl_cuda.data.io import read_image, read_png, require_cv2, write_bytes, write_png
from mtl_cuda.data.parallel import map_jobs
from mtl_cuda.data.source import check_same_size
from mtl_cuda.data.stereo.match import match_views
from mtl_cuda.data.stereo.options import StereoOptions
from mtl_cuda.data.stereo.pairs import StereoPair

SETTINGS = "stereo.json"
"""Name of the file in the output folder that says how its disparities were made."""
_DISPARITY = layout.disparity_part().suffix
_CONFIDENCE = "_confidence.png"


class Outcome(NamedTuple):
    """What became of a pair."""

    name: str
    valid: float = 0.0  # share of pixels with a disparity; 0 for files that were there
    skipped: bool = False
    error: str | None = None


class _Job(NamedTuple):
    pair: StereoPair
    out: Path
    options: StereoOptions
    confidence: bool


def disparity_path(out: Path, name: str) -> Path:
    """The disparity file of the pair `name`."""
    return out / (name + _DISPARITY)


def confidence_path(out: Path, name: str) -> Path:
    """The confidence file of the pair `name`, beside its disparities."""
    return out / (name + _CONFIDENCE)


def write_disparities(
    pairs: Sequence[StereoPair],
    out: Path,
    options: StereoOptions,
    *,
    confidence: bool = False,
    overwrite: bool = False,
    workers: int = 1,
) -> Iterator[Outcome]:
    """Match pairs and write OUT/NAME_disparity.png, the number format being that of Cityscapes.

    Every file is written whole or not at all; pairs whose files are there and whole are skipped.
    A pair that cannot be matched does not stop the others. OUT/stereo.json holds the options.

    Args:
        pairs: from `find_pairs` or `find_dataset_pairs`.
        out: folder to write to.
        options: how; they may not differ from those of the files that are there.
        confidence: write OUT/NAME_confidence.png as well: uint8, values of
            :class:`mtl_cuda.data.sgm.Confidence`.
        overwrite: remove the files of these pairs first.
        workers: processes; see :func:`mtl_cuda.data.parallel.map_jobs`.

    Yields:
        What became of each pair, in order.

    Raises:
        ImportError: OpenCV is missing.
        ValueError: the files in `out` were made with other options, or by something else.
        OSError: `out` cannot be made or written to.
    """
    require_cv2()
    _claim(out, pairs, options, overwrite)
    for folder in sorted({disparity_path(out, pair.name).parent for pair in pairs}):
        folder.mkdir(parents=True, exist_ok=True)
    jobs = [_Job(pair, out, options, confidence) for pair in pairs]
    yield from map_jobs(_write_pair, jobs, workers)


def picture_header(path: Path) -> Header:
    """Size and kind of a picture; ValueError where it is damaged."""
    return read_header(path.read_bytes(), str(path))


def _claim(out: Path, pairs: Sequence[StereoPair], options: StereoOptions, overwrite: bool) -> None:
    """See that `out` has no disparities but such as these options make, and note the options."""
    wanted, noted = asdict(options), _noted(out)
    there = set(out.rglob("*" + _DISPARITY))
    ours = {disparity_path(out, pair.name) for pair in pairs}
    if noted is None and there:
        raise ValueError(
            f"{out} holds disparities of another source (no {SETTINGS}); choose another folder"
        )
    if there and noted is not None and noted != wanted and (not overwrite or there - ours):
        mend = "them with --overwrite" if not there - ours else "all of them at once"
        raise ValueError(
            f"{out} holds disparities made with other options ({_difference(noted, wanted)}); "
            f"choose another folder, or replace {mend}"
        )
    if overwrite:
        # All at once and first: after an interruption, what is there is new.
        for pair in pairs:
            disparity_path(out, pair.name).unlink(missing_ok=True)
            confidence_path(out, pair.name).unlink(missing_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    write_bytes(out / SETTINGS, json.dumps(wanted, indent=2).encode() + b"\n")


def _noted(out: Path) -> dict[str, object] | None:
    """The options in the folder: None if there are none, empty if they cannot be read."""
    path = out / SETTINGS
    if not path.is_file():
        return None
    try:
        return dict(json.loads(path.read_bytes()))
    except (ValueError, TypeError):
        return {}


def _difference(noted: dict[str, object], wanted: dict[str, object]) -> str:
    flat = [_flat(content) for content in (noted, wanted)]
    keys = sorted(flat[0].keys() | flat[1].keys())
    changed = [key for key in keys if flat[0].get(key) != flat[1].get(key)]
    return ", ".join(f"{key} {flat[0].get(key)}, now {flat[1].get(key)}" for key in changed)


def _flat(content: dict[str, object]) -> dict[str, object]:
    sgm = content.get("sgm")
    return {**content, **(sgm if isinstance(sgm, dict) else {}), "sgm": None}


def _write_pair(job: _Job) -> Outcome:
    name = job.pair.name
    try:
        if _is_done(job):
            return Outcome(name, skipped=True)
        return Outcome(name, valid=_match_and_write(job))
    except (ValueError, OSError) as error:
        return Outcome(name, error=str(error))


def _is_done(job: _Job) -> bool:
    """Whether the files of a pair are there, whole and of the right size."""
    paths = [disparity_path(job.out, job.pair.name)]
    if job.confidence:
        paths.append(confidence_path(job.out, job.pair.name))
    if not all(path.is_file() for path in paths):
        return False
    image = picture_header(job.pair.left)
    try:
        headers = [picture_header(path) for path in paths]
    except ValueError:
        return False
    return all(header[:2] == image[:2] and header.is_plain_grey for header in headers)


def _match_and_write(job: _Job) -> float:
    pair, options = job.pair, job.options
    left, right = read_image(pair.left), read_image(pair.right)
    if left.shape != right.shape:
        raise ValueError(
            f"{pair.left} is {left.shape[1]} x {left.shape[0]} pixels, but {pair.right} is "
            f"{right.shape[1]} x {right.shape[0]}"
        )
    labels = None
    if options.mask_labels and pair.labels is not None:
        labels = read_png(pair.labels)
        check_same_size(pair.left, left, pair.labels, labels)
    found = match_views(left, right, options, labels)
    if job.confidence:
        write_png(confidence_path(job.out, pair.name), found.confidence)
    write_png(disparity_path(job.out, pair.name), encode_disparity(found.disparity))
    return float(np.isfinite(found.disparity).mean())
