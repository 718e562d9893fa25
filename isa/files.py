"""Atomic writing of files and folders.

Each is written next to its destination under a unique name, and renamed when it is complete. After a failure
nothing is left, and the destination is unchanged. Errors are ``OSError``, which callers convert to their own.
"""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

LONGEST = 200       # bytes of the final name within the temporary one: file systems allow 255


@contextmanager
def write_atomically(path: Path, mode: int = 0o666, synchronize: bool = False) -> Iterator[IO[bytes]]:
    """A binary file to write; it replaces ``path`` if the block ends without an error.

    Parameters
    ----------
    path : Path
        The file; one that exists is replaced.
    mode : int
        Permissions from the start, restricted by the umask.
    synchronize : bool
        Wait until the content and the name are on the disk.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    temporary = _temporary(path)
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            yield file
            if synchronize:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    if synchronize:
        sync(path.parent)


@contextmanager
def make_folder_atomically(path: Path) -> Iterator[Path]:
    """An empty folder to fill; it is renamed to ``path`` if the block ends without an error.

    Raises
    ------
    OSError
        The folder cannot be created, or ``path`` is a non-empty folder.
    """
    temporary = _temporary(path)
    try:
        temporary.mkdir()
        yield temporary
        temporary.rename(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def leftovers(path: Path) -> list[Path]:
    """Temporary files of killed or running writers of ``path``: all named ``.NAME.*``."""
    return [item for item in path.parent.iterdir() if item.name.startswith(_prefix(path))]


def sync(path: Path) -> None:
    """Waits until a file's content, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _temporary(path: Path) -> Path:
    return path.with_name(f"{_prefix(path)}{secrets.token_hex(8)}.part")


def _prefix(path: Path) -> str:
    return f".{os.fsdecode(os.fsencode(path.name)[:LONGEST])}."
