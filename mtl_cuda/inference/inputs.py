"""What there is to predict: images and videos, in files and folders."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")


def find_inputs(paths: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """Images and videos: the given files, and those right inside the given folders, sorted.

    A file is a video by the ending of its name, and else an image. Hidden files in a folder are
    left out.

    Raises:
        FileNotFoundError: a path is missing, or a folder has neither images nor videos.
        ValueError: two inputs have one name, so that their results would overwrite each other.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file or folder")
        if path.is_dir():
            endings = IMAGE_SUFFIXES + VIDEO_SUFFIXES
            shown = (p for p in path.iterdir() if not p.name.startswith(".") and not p.is_dir())
            inside = sorted(p for p in shown if p.suffix.lower() in endings)
            if not inside:
                raise FileNotFoundError(f"{path}: no {', '.join(endings)} in this folder")
            found += inside
        else:
            found.append(path)
    by_stem: dict[str, Path] = {}
    for path in found:
        other = by_stem.setdefault(path.stem, path)
        if other is not path:
            raise ValueError(f"{other} and {path} have one name; predict them into two folders")
    videos = [path for path in found if path.suffix.lower() in VIDEO_SUFFIXES]
    return [path for path in found if path not in videos], videos
