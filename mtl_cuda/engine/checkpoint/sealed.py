"""Checkpoint files: whole or not there, and refused where a single bit is wrong.

A file is what `torch.save` writes (so that `torch.load` reads it too) and, behind it, a seal of 48
bytes: "MTLSEAL1", the length of what precedes it (8 bytes, little-endian), and its SHA-256.
"""

from __future__ import annotations

import hashlib
import os
import struct
from io import RawIOBase
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import torch
from torch.torch_version import TorchVersion

from mtl_cuda.engine.checkpoint.archive import check_archive

FORMAT = 2
"""Raised when a change makes older files unreadable."""

_SEAL = struct.Struct("<8sQ32s")
_MAGIC = b"MTLSEAL1"
_BLOCK = 1 << 20
_NEEDED_TORCH = "2.10"  # loading only weights could be made to run code before


class CheckpointError(ValueError):
    """A checkpoint file cannot be used; the message names the file."""


def save_checkpoint(
    path: str | os.PathLike[str], state: dict[str, Any], older: Path | None = None
) -> None:
    """Write `state` (dicts, lists, tuples, tensors, numbers, strings) to `path`.

    The data go to a temporary file in the same folder, are forced to the disk, and then take the
    place of an older file in one step: a crash or a full disk at any moment leaves the old file.

    Args:
        path: of the file.
        state: what it shall hold.
        older: where a file that is already at `path` goes, instead of being replaced.

    Raises:
        OSError: the file cannot be written; names it and the bytes that were. No temporary file is
            left.
        ValueError: `state` holds what could not be loaded again.
    """
    path = Path(path)
    # A fixed name: what a killed process left is replaced by the next save.
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        # Unbuffered, so that a full disk is told by the write that meets it.
        with open(temporary, "w+b", buffering=0) as file:
            _write_sealed({"format": FORMAT, **state}, file)
            os.fsync(file.fileno())
            check_archive(file)
        if older is not None and path.exists():
            os.replace(path, older)
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise OSError(f"{path}: the checkpoint could not be written: {error}") from error
    except ValueError as error:
        raise ValueError(f"{path}: the checkpoint could not be loaded again: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def load_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote, onto the CPU; no code in the file is ever run.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: the file is damaged, is no checkpoint of this program, holds objects other
            than data, claims to be larger than it is, or has another format.
        ImportError: this version of PyTorch could be made to run code.
    """
    path = Path(path)
    if TorchVersion(torch.__version__) < _NEEDED_TORCH:
        raise ImportError(
            f"{path}: checkpoints are loaded with torch {_NEEDED_TORCH} or newer alone; older ones "
            f"could be made to run code in them; this is torch {torch.__version__}"
        )
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint")
    with open(path, "rb") as file:
        try:
            _check_seal(file)
            check_archive(file)
            file.seek(0)
            state = torch.load(file, map_location="cpu", weights_only=True)
        except OSError:
            raise
        except Exception as error:  # a hostile file can make torch raise almost anything
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise CheckpointError(f"{path}: not a readable checkpoint: {reason}") from error
    if not isinstance(state, dict) or "format" not in state:
        raise CheckpointError(f"{path}: not a checkpoint of mtl-cuda train")
    if state.pop("format") != FORMAT:
        raise CheckpointError(f"{path}: written by another version; this one reads format {FORMAT}")
    return state


class _SealingFile:
    """Hands on what is written to it, and computes the seal on the way."""

    def __init__(self, file: RawIOBase) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.length = 0
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        rest = memoryview(data)
        try:
            while rest:
                written = self._file.write(rest)
                self.length += written
                rest = rest[written:]
        except OSError as error:
            self.error = error
            raise
        return len(data)

    def flush(self) -> None:
        """Nothing waits to be written."""

    def seal(self) -> None:
        self.write(_SEAL.pack(_MAGIC, self.length, self._digest.digest()))


def _write_sealed(state: dict[str, Any], file: RawIOBase) -> None:
    sealing = _SealingFile(file)
    try:
        torch.save(state, cast(IO[bytes], sealing))
        sealing.seal()
    except (OSError, RuntimeError) as error:  # a full disk leaves torch as either
        cause = sealing.error or error
        if isinstance(cause, OSError):
            raise OSError(f"stopped after {sealing.length} bytes: {cause}") from error
        raise


def _check_seal(file: BinaryIO) -> None:
    length = file.seek(0, os.SEEK_END) - _SEAL.size
    if length < 0:
        raise ValueError("it is too short")
    file.seek(length)
    magic, sealed, expected = _SEAL.unpack(file.read(_SEAL.size))
    if magic != _MAGIC or sealed != length:
        raise ValueError("it has no seal at its end: cut off, or of another kind")
    file.seek(0)
    digest = hashlib.sha256()
    while length > 0:
        block = file.read(min(_BLOCK, length))
        if not block:
            raise ValueError("it became shorter while it was read")
        digest.update(block)
        length -= len(block)
    if digest.digest() != expected:
        raise ValueError("its content does not have its checksum: it is damaged")


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut, where the system can."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
