"""Which picture belongs to which: stereo pairs in folders, and in a Cityscapes tree."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mtl_cuda.data import layout
from mtl_cuda.data.source import no_images_error

_PICTURES = (".png", ".jpg", ".jpeg")


class StereoPair(NamedTuple):
    """The files of one rectified pair."""

    name: str  # unique in its set, with folders: "val/frankfurt/frankfurt_000000_000294"
    left: Path
    right: Path
    labels: Path | None = None
    camera: Path | None = None


def find_pairs(left: Path, right: Path) -> list[StereoPair]:
    """Find the pairs of two pictures, or of two folders, subfolders included.

    In folders, pictures (PNG, JPEG) belong together whose paths within their folders agree, but
    for the file type and the endings _leftImg8bit and _rightImg8bit.

    Raises:
        FileNotFoundError: `left` or `right` does not exist or holds no picture, or pictures on the
            left have no partner; names the first.
        ValueError: one is a file and the other a folder, or two pictures of a folder share a name.
    """
    for option, path in (("left", left), ("right", right)):
        if not path.exists():
            raise FileNotFoundError(f"{option}: there is no file or folder {path}")
    if left.is_dir() != right.is_dir():
        raise ValueError(f"left and right must be two files or two folders, got {left} and {right}")
    if not left.is_dir():
        return [StereoPair(left.stem.removesuffix("_leftImg8bit"), left, right)]
    lefts = _pictures(left, "_leftImg8bit")
    rights = _pictures(right, "_rightImg8bit")
    _require_partners(lefts, rights, right)
    return [StereoPair(name, path, rights[name]) for name, path in sorted(lefts.items())]


def find_dataset_pairs(root: Path, splits: Sequence[str] | None = None) -> list[StereoPair]:
    """Find the pairs of a Cityscapes tree, with label ids and cameras where there are any.

    Args:
        root: folder that holds leftImg8bit and rightImg8bit.
        splits: which; None = all that leftImg8bit has.

    Raises:
        FileNotFoundError: there is no image in a split, or one on the left has no partner.
    """
    if splits is None:
        folder = root / layout.IMAGE.folder
        splits = sorted(path.name for path in folder.glob("*") if path.is_dir()) or ["*"]
    return [pair for split in splits for pair in _split_pairs(root, split)]


def _split_pairs(root: Path, split: str) -> list[StereoPair]:
    lefts = _part(root, layout.IMAGE, split)
    if not lefts:
        wanted = layout.part_path(root, layout.IMAGE, split, "*", "*")
        raise no_images_error(wanted, root / layout.IMAGE.folder)
    rights = _part(root, layout.RIGHT_IMAGE, split)
    _require_partners(lefts, rights, root / layout.RIGHT_IMAGE.folder)
    labels, cameras = _part(root, layout.LABEL_IDS, split), _part(root, layout.CAMERA, split)
    return [
        StereoPair(name, left, rights[name], labels.get(name), cameras.get(name))
        for name, left in sorted(lefts.items())
    ]


def _part(root: Path, part: layout.Part, split: str) -> dict[str, Path]:
    files = (root / part.folder / split).glob("*/*" + part.suffix)
    return {f"{split}/{p.parent.name}/{p.name.removesuffix(part.suffix)}": p for p in files}


def _pictures(folder: Path, ending: str) -> dict[str, Path]:
    """The pictures of a folder by their path in it, without type and ending."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in _PICTURES or path.name.startswith("."):
            continue
        inside = path.relative_to(folder)
        name = inside.with_name(inside.stem.removesuffix(ending)).as_posix()
        if name in found:
            raise ValueError(f"{found[name]} and {path} have one name; keep one of them")
        found[name] = path
    if not found:
        raise FileNotFoundError(f"no PNG or JPEG picture in {folder}")
    return found


def _require_partners(lefts: dict[str, Path], rights: dict[str, Path], where: Path) -> None:
    alone = sorted(lefts.keys() - rights.keys())
    if alone:
        raise FileNotFoundError(
            f"{len(alone)} of {len(lefts)} left pictures have no right one, the first is "
            f"{lefts[alone[0]]}: no {alone[0]} in {where}"
        )
