"""One command at a time in a folder."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = "lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep a folder for this process, until the end of the context or of the process.

    The system keeps the lock (flock) and lets go of it however the process ends; where it has none,
    such as on Windows or some network drives, nothing is locked.

    Raises:
        ValueError: another process has it; names the folder and the process.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise ValueError(
                f"--out: {folder} is in use by another experiment, process {file.read()}; wait "
                "for it, or choose another folder"
            ) from None
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
