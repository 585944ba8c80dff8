from __future__ import annotations

import resource
from pathlib import Path

import numpy as np
import pytest

from mtl_cuda.data.video import VideoReader, VideoWriter


def frames(count: int) -> list[np.ndarray]:
    """Grey pictures, each lighter than the one before, with a red half."""
    pictures = [np.full((32, 48, 3), 20 * number, np.uint8) for number in range(count)]
    for picture in pictures:
        picture[:, 24:, 0] = 250
    return pictures


def written(path: Path, count: int = 5, rate: float = 12.5) -> Path:
    with VideoWriter(path, rate) as video:
        for frame in frames(count):
            video.write(frame)
    return path


def test_round_trip(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mp4")
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"]
    with VideoReader(path) as video:
        assert (video.rate, video.frames) == (12.5, 5)
        read = list(video)
    assert len(read) == 5
    for own, expected in zip(read, frames(5)):
        assert np.abs(own.astype(int) - expected).mean() < 8  # the codec is lossy


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> None:
        with VideoWriter(tmp_path / "a.mp4", 10) as video:
            video.write(frames(1)[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with VideoWriter(tmp_path / "b.mp4", 10):
        pass  # no frames
    assert list(tmp_path.iterdir()) == []


def test_a_video_without_room_is_an_error(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def write() -> None:
        with VideoWriter(tmp_path / "a.mp4", 25) as video:
            for _ in range(40):
                video.write(noise)
                noise[:] = noise[::-1, ::-1]

    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))  # as on a full disk
    try:
        with pytest.raises(OSError, match=r"a\.mp4: .* of 40 frames are in the file"):
            write()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone\.mp4"):
        VideoReader(tmp_path / "gone.mp4")
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(ValueError, match=r"text\.mp4: no video"):
        VideoReader(tmp_path / "text.mp4")
    with pytest.raises(ValueError, match=r"\.mp4"):
        VideoWriter(tmp_path / "a.avi", 10)
    path = written(tmp_path / "a.mp4", 2)
    with pytest.raises(ValueError, match="claims frames of 48 x 32"):
        VideoReader(path, max_pixels=1000)
    with VideoWriter(tmp_path / "b.mp4", 10) as video:
        video.write(frames(1)[0])
        with pytest.raises(ValueError, match="expected a frame"):
            video.write(np.zeros((8, 8, 3), np.uint8))
