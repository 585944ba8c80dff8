"""Videos, frame by frame; needs an OpenCV that can decode and encode them."""

from __future__ import annotations

import os
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from mtl_cuda.data.io import MAX_PIXELS, require_cv2

_USUAL_RATE = 25.0  # frames a second, where a file does not tell


class VideoReader:
    """The frames of a video, uint8 [H, W, 3] RGB; use as a context manager, and iterate once.

    Args:
        path: of the file.
        max_pixels: files that claim larger frames are refused before one is decoded.

    Attributes:
        rate: frames a second; 25 where the file does not tell.
        frames: how many the file claims to have; None where it does not tell.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no video that OpenCV can read, or one with frames that are too large.
    """

    def __init__(self, path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f"{path}: no such video")
        cv2 = require_cv2()
        self._capture = cv2.VideoCapture(str(path))
        if not self._capture.isOpened():
            raise ValueError(f"{path}: no video that OpenCV can read")
        width, height, rate, frames = (
            self._capture.get(key)
            for key in (
                cv2.CAP_PROP_FRAME_WIDTH,
                cv2.CAP_PROP_FRAME_HEIGHT,
                cv2.CAP_PROP_FPS,
                cv2.CAP_PROP_FRAME_COUNT,
            )
        )
        if width * height > max_pixels:
            self._capture.release()
            raise ValueError(
                f"{path}: claims frames of {width:.0f} x {height:.0f} pixels, more than the limit "
                f"of {max_pixels}"
            )
        self.rate = rate if 0 < rate < 1000 else _USUAL_RATE
        self.frames = round(frames) if 0 < frames < 2**31 else None

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._capture.release()

    def __iter__(self) -> Iterator[npt.NDArray[np.uint8]]:
        """Every frame; ends where none can be decoded any more.

        Warns where that is before the end that the file claims.

        Raises:
            ValueError: not a single frame can be decoded.
        """
        cv2, count = require_cv2(), 0
        while True:
            done, frame = self._capture.read()
            if not done:
                break
            count += 1
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        if count == 0:
            raise ValueError(f"{self.path}: damaged video, not a single frame can be decoded")
        if self.frames is not None and count < self.frames:
            warnings.warn(
                f"{self.path}: {count} of the {self.frames} frames that the file claims could be "
                "decoded",
                stacklevel=2,
            )


class VideoWriter:
    """Writes an mp4 file (MPEG-4), which appears when all of it is written.

    Use as a context manager: what is left by an error or an interruption is removed, and so is a
    video without frames. All frames have the size of the first; the codec takes even sizes alone,
    and loses the last row or column of others.

    Args:
        path: of the file, ending in .mp4; an older one is replaced.
        rate: frames a second.

    Raises:
        ValueError: another ending.
        OSError: at the end, where frames are missing in the file; it is removed.
    """

    def __init__(self, path: str | os.PathLike[str], rate: float) -> None:
        self.path = Path(path)
        if self.path.suffix != ".mp4":
            raise ValueError(f"{path}: expected a name that ends in .mp4")
        self._rate = rate
        self._writer: Any = None
        self._size: tuple[int, ...] = ()
        self._frames = 0
        # OpenCV takes the format from the ending.
        self._temporary = self.path.with_name(f".{self.path.stem}.{uuid.uuid4().hex}.tmp.mp4")

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self._writer is not None:
                self._writer.release()
                if kind is None:
                    self._check_whole()
                    os.replace(self._temporary, self.path)
        finally:
            self._temporary.unlink(missing_ok=True)

    def _check_whole(self) -> None:
        """OpenCV tells of no failed write, such as those on a full disk."""
        cv2 = require_cv2()
        capture = cv2.VideoCapture(str(self._temporary))
        found = round(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        capture.release()
        if found < self._frames:
            raise OSError(
                f"{self.path}: the video could not be written: {found} of {self._frames} frames "
                "are in the file; is the disk full?"
            )

    def write(self, frame: npt.NDArray[np.uint8]) -> None:
        """Append a frame, uint8 [H, W, 3] RGB.

        Raises:
            ValueError: it has not the size of the first one.
            OSError: OpenCV cannot write such a video here.
        """
        cv2 = require_cv2()
        if self._writer is None:
            self._size = frame.shape
            codec = cv2.VideoWriter.fourcc(*"mp4v")
            size = (frame.shape[1], frame.shape[0])
            self._writer = cv2.VideoWriter(str(self._temporary), codec, self._rate, size)
            if not self._writer.isOpened():
                raise OSError(f"{self.path}: OpenCV cannot write an mp4 video here")
        if frame.shape != self._size:
            raise ValueError(f"{self.path}: expected a frame {self._size}, got {frame.shape}")
        self._writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        self._frames += 1
