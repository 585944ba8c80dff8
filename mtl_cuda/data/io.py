"""Reading and writing images: the only module that imports OpenCV.

Files are checked before they are decoded. OpenCV returns None for some damaged files, fills in grey
for others, and takes whatever size a header claims, so a small file can ask for gigabytes.
"""

from __future__ import annotations

import functools
import importlib
import os
import uuid
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from mtl_cuda.data.imagefile import read_header

MAX_PIXELS = 2**28
"""Images that claim more pixels than this are refused unless a call says otherwise."""


@functools.cache
def require_cv2() -> ModuleType:
    """Import OpenCV, single-threaded: the processes of a loader already use the cores.

    Raises:
        ImportError: OpenCV is missing or cannot be loaded; the message names the mend.
    """
    try:
        cv2 = importlib.import_module("cv2")
    except ImportError as error:
        raise ImportError(
            f"reading and resizing images needs OpenCV, which could not be imported ({error}). "
            "Mend: pip install opencv-python; on a server without libGL, "
            "pip uninstall opencv-python and then pip install opencv-python-headless."
        ) from error
    cv2.setNumThreads(0)
    return cv2


def read_image(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> npt.NDArray[np.uint8]:
    """Read a PNG or JPEG picture as uint8 [H, W, 3], RGB.

    Grey, 16 bit and transparent pictures are converted; the orientation in a JPEG's metadata is
    applied.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, of another kind, or larger than `max_pixels`.
    """
    data = _read_checked(path, max_pixels)
    cv2 = require_cv2()
    return cv2.cvtColor(_decode(path, data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def read_png(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> npt.NDArray[Any]:
    """Read a one-channel PNG exactly as stored: uint8 or uint16 [H, W].

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, larger than `max_pixels`, or no one-channel PNG of 8 or 16
            bits. (Decoders rescale fewer bits and colour palettes, which would change labels.)
    """
    data = _read_checked(path, max_pixels, one_channel=True)
    array = _decode(path, data, require_cv2().IMREAD_UNCHANGED)
    if array.ndim != 2:
        raise ValueError(f"{path}: expected one channel, got an array of shape {array.shape}")
    return array


def write_png(path: str | os.PathLike[str], array: npt.NDArray[Any]) -> None:
    """Write uint8 or uint16 [H, W] or [H, W, 3] (RGB) as PNG; the file appears whole or not at all.

    Raises:
        TypeError: another dtype.
        ValueError: another shape, or an empty array.
        OSError: the file cannot be written.
    """
    if array.dtype not in (np.uint8, np.uint16):
        raise TypeError(f"{path}: a PNG holds uint8 or uint16, got {array.dtype}")
    if array.size == 0 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)):
        raise ValueError(f"{path}: expected [H, W] or [H, W, 3] and not empty, got {array.shape}")
    cv2 = require_cv2()
    if array.ndim == 3:
        array = cv2.cvtColor(array, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".png", array)
    if not done:
        raise ValueError(f"{path}: could not encode an array of shape {array.shape} as PNG")
    write_bytes(path, data.tobytes())


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file through a temporary one beside it, so that no reader sees half of it.

    Raises:
        OSError: the file cannot be written; no temporary file is left.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _read_checked(
    path: str | os.PathLike[str], max_pixels: int, one_channel: bool = False
) -> bytes:
    data = Path(path).read_bytes()
    header = read_header(data, str(path))
    if header.width * header.height > max_pixels:
        raise ValueError(
            f"{path}: claims {header.width} x {header.height} pixels, more than the limit of "
            f"{max_pixels}; pass a larger max_pixels if the file is to be trusted"
        )
    if one_channel and not header.is_plain_grey:
        raise ValueError(f"{path}: expected a one-channel PNG of 8 or 16 bits, got {header.kind}")
    return data


def _decode(path: str | os.PathLike[str], data: bytes, flags: int) -> npt.NDArray[Any]:
    cv2 = require_cv2()
    try:
        array = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise ValueError(f"{path}: OpenCV could not decode the file: {error}") from error
    if array is None:
        raise ValueError(f"{path}: damaged file, OpenCV could not decode it")
    return array
