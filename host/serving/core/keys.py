"""The two keys of a service: either opens it, so that one can be replaced while clients use the other. Files with secrets
are read only when no one else may, and written at mode 0600."""

import hmac
import json
import os
import secrets
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from arrayloom.host.serving.core.logs import log
from arrayloom.host.serving.errors import ServeError
from arrayloom.isa.files import write_atomically

SHORTEST = 16
KEY_BYTES = 32
OWNER_ONLY, OTHERS = 0o600, 0o007


class Which(StrEnum):
    PRIMARY = "primary"
    SECONDARY = "secondary"


@dataclass(frozen=True)
class Keys:
    """Two keys; they show in no representation."""

    primary: str = field(repr=False)
    secondary: str = field(repr=False)

    @classmethod
    def generate(cls) -> "Keys":
        """Two new random keys."""
        return cls(secrets.token_urlsafe(KEY_BYTES), secrets.token_urlsafe(KEY_BYTES))

    @classmethod
    def load(cls, path: Path) -> "Keys":
        """From a file of JSON, ``{"primary": ..., "secondary": ...}``, that others may not read; raises ``ServeError``."""
        try:
            values = json.loads(read_secret(path))
        except (ValueError, RecursionError):
            raise ServeError(f"{path}: not JSON; it holds {{\"primary\": KEY, \"secondary\": KEY}}") from None
        if not isinstance(values, dict) or set(values) != set(Which) or not all(_sound(key) for key in values.values()):
            raise ServeError(f"{path}: must hold primary and secondary and nothing else, each a key of {SHORTEST} or more "
                             "printable ASCII characters without blanks")
        return cls(**values)

    def save(self, path: Path) -> None:
        """Writes the file at mode 0600, whole or not at all."""
        write_secret(path, json.dumps(asdict(self)).encode())

    def regenerated(self, which: Which) -> "Keys":
        """The same keys but for one, which is new."""
        return replace(self, **{which.value: secrets.token_urlsafe(KEY_BYTES)})

    def match(self, given: str) -> bool:
        """Whether ``given`` is one of the keys, in a time that does not depend on them."""
        encoded = given.encode("utf-8", "surrogateescape")
        first = hmac.compare_digest(encoded, self.primary.encode())
        second = hmac.compare_digest(encoded, self.secondary.encode())
        return first | second


def rotate(path: Path, which: Which) -> Keys:
    """Replaces one key in a file; services that use the file take the new one at their next request."""
    keys = Keys.load(path).regenerated(which)
    keys.save(path)
    return keys


class KeyFile:
    """The keys in a file, read again whenever it changes; while it cannot be read, the last keys stay in force."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = self._stamp()
        self._keys = Keys.load(path)

    def allows(self, authorization: str | None) -> bool:
        """Whether the value of ``authorization``, ``Bearer KEY`` or the bare key, opens the service."""
        if (stamp := self._stamp()) != self._seen:
            self._seen = stamp
            self._reload()
        if not authorization:
            return False
        scheme, _, rest = authorization.strip().partition(" ")
        return self._keys.match(rest.strip() if scheme.lower() == "bearer" else authorization.strip())

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino, status.st_size

    def _reload(self) -> None:
        try:
            self._keys = Keys.load(self._path)
            log.info("keys read again", extra={"event": "keys"})
        except ServeError as error:
            log.error("keys stay as they were: %s", error, extra={"event": "keys"})


def _sound(key: object) -> bool:
    return isinstance(key, str) and len(key) >= SHORTEST and key.isascii() and key.isprintable() and " " not in key


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
    try:
        with write_atomically(path, OWNER_ONLY, synchronize=True) as file:
            file.write(content)
    except OSError as error:
        raise ServeError(f"{path}: cannot be written: {error.strerror}") from None
