from __future__ import annotations

import importlib
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mtl_cuda.data import io

SHAPES = st.one_of(
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3)),
)
ARRAYS = st.sampled_from([np.uint8, np.uint16]).flatmap(lambda dtype: hnp.arrays(dtype, SHAPES))
# tmp_path is shared by the examples of one test, which is fine: each overwrites its file.
shared_folder = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)


def picture(height: int = 30, width: int = 40) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def png_bytes(width: int, height: int, bits: int, colour: int, rows: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    palette = chunk(b"PLTE", bytes(range(6))) if colour == 3 else b""
    parts = (
        chunk(b"IHDR", header),
        palette,
        chunk(b"IDAT", zlib.compress(rows)),
        chunk(b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def jpeg_bytes(image: np.ndarray) -> bytes:
    return io.require_cv2().imencode(".jpg", image[..., ::-1].copy())[1].tobytes()


@shared_folder
@given(array=ARRAYS)
def test_round_trip(tmp_path: Path, array: np.ndarray) -> None:
    path = tmp_path / "a.png"
    io.write_png(path, array)
    if array.ndim == 2:
        stored = io.read_png(path)
        assert stored.dtype == array.dtype
        np.testing.assert_array_equal(stored, array)
    elif array.dtype == np.uint8:
        np.testing.assert_array_equal(io.read_image(path), array)
    assert os.listdir(tmp_path) == ["a.png"]


def test_non_contiguous_arrays_are_written_as_they_look(tmp_path: Path) -> None:
    image = picture()[::2, ::-1]
    io.write_png(tmp_path / "a.png", image)
    np.testing.assert_array_equal(io.read_image(tmp_path / "a.png"), image)


def test_read_image_gives_three_channels_of_8_bits(tmp_path: Path) -> None:
    grey = np.arange(12, dtype=np.uint16).reshape(3, 4) * 1000
    io.write_png(tmp_path / "grey.png", grey)
    image = io.read_image(tmp_path / "grey.png")
    assert image.shape == (3, 4, 3)
    assert image.dtype == np.uint8
    np.testing.assert_allclose(image[..., 0], grey / 257, atol=1)


def test_jpeg_is_rgb(tmp_path: Path) -> None:
    image = np.zeros((16, 24, 3), np.uint8)
    image[..., 0] = 200
    (tmp_path / "a.jpg").write_bytes(jpeg_bytes(image))
    np.testing.assert_allclose(io.read_image(tmp_path / "a.jpg"), image, atol=4)


def test_jpeg_orientation_is_applied(tmp_path: Path) -> None:
    data = jpeg_bytes(np.zeros((16, 24, 3), np.uint8))
    tiff = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    exif = b"Exif\0\0" + tiff
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    (tmp_path / "a.jpg").write_bytes(data[:2] + segment + data[2:])
    assert io.read_image(tmp_path / "a.jpg").shape == (24, 16, 3)


@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_truncated_at_any_length(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"cut.{kind}"
    io.write_png(path, picture())
    data = path.read_bytes() if kind == "png" else jpeg_bytes(picture())
    assert io.read_header(data, "whole")[:2] == (40, 30)
    for length in range(len(data)):
        with pytest.raises(ValueError, match="cut"):  # without OpenCV, which may fill in grey
            io.read_header(data[:length], "cut")
    for length in (0, 1, 100, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(ValueError, match=rf"cut\.{kind}"):
            io.read_image(path)


def test_any_flipped_bit_of_a_png_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "flip.png"
    io.write_png(path, picture(8, 8)[..., 0])
    data = path.read_bytes()
    for bit in range(0, 8 * len(data), 3):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"flip\.png"):
            io.read_png(path)


@settings(deadline=None)
@given(tail=st.binary(max_size=60), start=st.sampled_from([b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n"]))
def test_arbitrary_bytes_give_a_clear_error(start: bytes, tail: bytes) -> None:
    with pytest.raises(ValueError, match="some file"):
        io.read_header(start + tail, "some file")


def test_valid_container_with_damaged_content(tmp_path: Path) -> None:
    path = tmp_path / "short.png"
    path.write_bytes(png_bytes(16, 16, 8, 0, bytes(17 * 5)))  # checksums hold, rows are missing
    with pytest.raises(ValueError, match=r"short\.png"):
        io.read_png(path)


def test_size_is_refused_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png_bytes(32000, 32000, 8, 0, b""))

    def decode(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(io.require_cv2(), "imdecode", decode)
    with pytest.raises(ValueError, match=r"bomb\.png.*32000 x 32000.*max_pixels"):
        io.read_png(path)


def test_size_limit_can_be_set(tmp_path: Path) -> None:
    io.write_png(tmp_path / "a.png", picture(10, 10))
    assert io.read_image(tmp_path / "a.png", max_pixels=100).shape == (10, 10, 3)
    with pytest.raises(ValueError, match="limit of 99"):
        io.read_image(tmp_path / "a.png", max_pixels=99)


@pytest.mark.parametrize(
    ("bits", "colour", "what"), [(1, 0, "grey, 1 bits"), (8, 3, "palette"), (8, 2, "RGB")]
)
def test_read_png_refuses_what_would_change_labels(
    tmp_path: Path, bits: int, colour: int, what: str
) -> None:
    rows = b"\0" + bytes(3 if colour == 2 else 1)
    (tmp_path / "a.png").write_bytes(png_bytes(1, 1, bits, colour, rows))
    with pytest.raises(ValueError, match=rf"a\.png.*one-channel.*{what}"):
        io.read_png(tmp_path / "a.png")


def test_read_png_refuses_a_jpeg(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(jpeg_bytes(picture()))
    with pytest.raises(ValueError, match=r"a\.png.*a JPEG"):
        io.read_png(tmp_path / "a.png")


@pytest.mark.parametrize("read", [io.read_image, io.read_png])
def test_missing_or_other_file(tmp_path: Path, read: object) -> None:
    assert callable(read)
    with pytest.raises(FileNotFoundError, match=r"none\.png"):
        read(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("not a picture")
    with pytest.raises(ValueError, match=r"text\.png: neither"):
        read(tmp_path / "text.png")


def test_write_png_refuses_other_arrays(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="float32"):
        io.write_png(tmp_path / "a.png", np.zeros((2, 2), np.float32))
    for shape in [(2,), (2, 2, 4), (0, 2)]:
        with pytest.raises(ValueError, match="expected"):
            io.write_png(tmp_path / "a.png", np.zeros(shape, np.uint8))
    assert not os.listdir(tmp_path)


def test_failed_write_leaves_the_old_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    io.write_png(path, picture())

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        io.write_png(path, picture(5, 5))
    assert os.listdir(tmp_path) == ["a.png"]
    np.testing.assert_array_equal(io.read_image(path), picture())
    with pytest.raises(FileNotFoundError):
        io.write_png(tmp_path / "no" / "a.png", picture())


def test_opencv_runs_single_threaded() -> None:
    assert io.require_cv2().getNumThreads() <= 1


def test_missing_opencv_names_the_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> None:
        raise ImportError("libGL.so.1: cannot open shared object file")

    io.require_cv2.cache_clear()
    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ImportError, match=r"libGL.*opencv-python.*opencv-python-headless"):
        io.require_cv2()


def test_package_imports_without_opencv() -> None:
    code = "import sys; sys.modules['cv2'] = None; import mtl_cuda.data"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
