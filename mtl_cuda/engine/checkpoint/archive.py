"""What an archive of `torch.save` claims to hold, looked at before anything of it is loaded.

`torch.load(weights_only=True)` runs no code, but takes the file's word for sizes: a compressed
archive, or a pickle that asks for `bytearray(10**12)`, fills the memory from a few bytes.
"""

from __future__ import annotations

import os
import pickletools
import re
import zipfile
from typing import BinaryIO

_LARGEST_PICKLE = 64 << 20  # bytes: names and numbers; a large network's are below one megabyte
_DATA = re.compile(
    r"torch [A-Z]\w*Storage|torch\._utils _rebuild_tensor_v[23]|torch u?int\d+"
    r"|collections OrderedDict"
)
_FORBIDDEN = {"STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4"}


def check_archive(file: BinaryIO) -> None:
    """Make sure that a file holds data alone, and no more of them than it has bytes.

    Raises:
        ValueError: it does not; says what was found.
    """
    length = file.seek(0, os.SEEK_END)
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
                raise ValueError("it is compressed, which checkpoints are not")
            if sum(entry.file_size for entry in entries) > length:
                raise ValueError("it claims to hold more than it has bytes")
            pickles = [entry for entry in entries if entry.filename.endswith(".pkl")]
            if len(pickles) != 1 or pickles[0].file_size > _LARGEST_PICKLE:
                raise ValueError("it does not have the parts of a checkpoint")
            _check_pickle(archive.read(pickles[0]))
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise ValueError(f"it is no archive of torch.save: {error}") from error


def _check_pickle(content: bytes) -> None:
    """Read a pickle's instructions without following them."""
    for instruction, argument, _ in pickletools.genops(content):
        name = instruction.name
        if name in _FORBIDDEN or (name == "GLOBAL" and not _DATA.fullmatch(str(argument))):
            what = str(argument).replace(" ", ".") if name == "GLOBAL" else name
            raise ValueError(f"it has Python objects in it ({what}), which are never loaded")
