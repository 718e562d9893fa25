"""Files with secrets: read only when no one else may, written at mode 0600."""

import contextlib
import os
import secrets
from pathlib import Path

from arrayloom.host.serving.core.errors import ServeError

OTHERS = 0o007


def read_secret(path: Path) -> bytes:
    """The file's content; raises ``ServeError`` when it cannot be read or every user of the machine may."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & OTHERS:
                raise ServeError(f"{path}: every user may read this secret; run chmod 600 {path}")
            return file.read()
    except OSError as error:
        raise ServeError(f"{path}: cannot be read: {error.strerror}") from None


def write_secret(path: Path, content: bytes) -> None:
    """Writes a file that its owner alone may read, whole or not at all; raises ``ServeError``."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise ServeError(f"{path}: cannot be written: {error.strerror}") from None
