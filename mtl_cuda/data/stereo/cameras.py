"""Camera files beside disparities, which turn pixels into metres."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mtl_cuda.data import layout
from mtl_cuda.data.formats import Camera, read_camera, write_camera
from mtl_cuda.data.stereo.pairs import StereoPair
from mtl_cuda.data.stereo.write import picture_header


def centred_camera(picture: Path, focal: float, baseline: float) -> Camera:
    """A camera of square pixels that looks through the middle of a picture.

    Args:
        picture: a file of the picture the disparities belong to.
        focal: focal length in pixels of this picture.
        baseline: distance of the two cameras in metres.

    Raises:
        ValueError: `focal` or `baseline` is not positive, or the picture is damaged.
        OSError: the picture cannot be read.
    """
    size = picture_header(picture)
    return Camera(focal, focal, (size.width - 1) / 2, (size.height - 1) / 2, baseline)


def write_cameras(
    pairs: Sequence[StereoPair],
    folder: Path,
    given: tuple[float, float] | None,
    overwrite: bool = False,
) -> int:
    """Write FOLDER/NAME_camera.json for every pair whose camera is known.

    Args:
        pairs: their pictures, and their own camera files.
        folder: to write to; a pair's own camera file may lie there already.
        given: focal length in pixels and baseline in metres, of all pairs; None copies the pairs'
            own files.
        overwrite: replace files that say something else.

    Returns:
        How many pairs have a camera file in the folder now.

    Raises:
        ValueError: a file that is there says something else, or a number is not positive.
        OSError: a file cannot be read or written.
    """
    cameras = {}
    for pair in pairs:
        camera = _camera(pair, given)
        if camera is not None:
            cameras[folder / (pair.name + layout.CAMERA.suffix)] = camera
    missing = {path: camera for path, camera in cameras.items() if not _says(path, camera)}
    for path in missing:
        if path.exists() and not overwrite:
            raise ValueError(
                f"{path} holds another camera; leave --focal and --baseline out to use it, choose "
                "another folder with --cameras, or replace it with --overwrite"
            )
    for path, camera in missing.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_camera(path, camera)
    return len(cameras)


def _camera(pair: StereoPair, given: tuple[float, float] | None) -> Camera | None:
    if given is not None:
        return centred_camera(pair.left, *given)
    return None if pair.camera is None else read_camera(pair.camera)


def _says(path: Path, camera: Camera) -> bool:
    try:
        return path.exists() and read_camera(path) == camera
    except ValueError:
        return False
