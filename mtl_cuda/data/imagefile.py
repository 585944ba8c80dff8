"""Headers of PNG and JPEG files, and whether a file is whole, without decoding it.

PNG: W3C Portable Network Graphics, 5 (chunks). JPEG: ITU-T T.81, annex B (markers).
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_COLOURS = {0: "grey", 2: "RGB", 3: "palette", 4: "grey with alpha", 6: "RGB with alpha"}
_JPEG_START, _JPEG_SCAN, _JPEG_END = b"\xff\xd8", 0xDA, b"\xff\xd9"
# Start-of-frame markers C0..CF, less the Huffman (C4), arithmetic (CC) and reserved (C8) ones.
_JPEG_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class Header(NamedTuple):
    """What a file claims to hold."""

    width: int
    height: int
    kind: str
    is_plain_grey: bool  # a PNG of one channel with 8 or 16 bits


def read_header(data: bytes, path: str) -> Header:
    """Read the header of a PNG or JPEG file and check that the file is whole.

    Raises:
        ValueError: another kind of file, or a damaged one; names `path`.
    """
    if data.startswith(_PNG_SIGNATURE):
        return _read_png(data, path)
    if data.startswith(_JPEG_START):
        return _read_jpeg(data, path)
    raise ValueError(f"{path}: neither a PNG nor a JPEG file (it holds {len(data)} bytes)")


def _read_png(data: bytes, path: str) -> Header:
    """A PNG is a row of chunks: length, type, data, CRC of type and data; the last is IEND."""
    position, kind, view = len(_PNG_SIGNATURE), b"", memoryview(data)
    while kind != b"IEND":
        if position + 12 > len(data):
            raise ValueError(f"{path}: damaged PNG, it ends after {len(data)} bytes")
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        if end + 4 > len(data):
            raise ValueError(f"{path}: damaged PNG, it ends after {len(data)} bytes")
        (stored,) = struct.unpack_from(">I", data, end)
        if zlib.crc32(view[position + 4 : end]) != stored:
            raise ValueError(f"{path}: damaged PNG, wrong checksum at byte {position}")
        position = end + 4
    if data[12:16] != b"IHDR":
        raise ValueError(f"{path}: damaged PNG, it does not begin with its header")
    width, height, bits, colour = struct.unpack_from(">IIBB", data, 16)
    kind_text = f"a PNG of {_PNG_COLOURS.get(colour, 'unknown colours')}, {bits} bits"
    return Header(width, height, kind_text, colour == 0 and bits in (8, 16))


def _read_jpeg(data: bytes, path: str) -> Header:
    """A JPEG is a row of segments (FF, marker, length, data) up to the scan, which ends at FFD9."""
    position, size = 2, None
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker, length = struct.unpack_from(">xBH", data, position)
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        if marker in _JPEG_FRAMES and position + 9 <= len(data):
            size = struct.unpack_from(">HH", data, position + 5)
        # Compressed data never hold FFD9 themselves: an FF in them is followed by 00.
        if marker == _JPEG_SCAN and size is not None and data.find(_JPEG_END, position) > 0:
            return Header(size[1], size[0], "a JPEG", False)
        position += 2 + length
    raise ValueError(f"{path}: damaged JPEG, it ends after {len(data)} bytes without its end mark")
