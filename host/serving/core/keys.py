"""The keys of a service. Either of two client keys is accepted, so one can be replaced while clients use the other; a third,
the operator's key, also allows loading models. Files with secrets must not be readable by others, and are written with mode
0600."""

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
    ADMIN = "admin"


OF_CLIENTS = {Which.PRIMARY, Which.SECONDARY}

@dataclass(frozen=True)
class Keys:
    """Two client keys, and the operator's key or None if no one may change models; ``repr`` shows none of them."""

    primary: str = field(repr=False)
    secondary: str = field(repr=False)
    admin: str | None = field(default=None, repr=False)

    @classmethod
    def generate(cls) -> "Keys":
        """New random keys."""
        return cls(*(secrets.token_urlsafe(KEY_BYTES) for _ in Which))

    @classmethod
    def load(cls, path: Path) -> "Keys":
        """Reads a JSON file ``{"primary": ..., "secondary": ..., "admin": ...}``, in which ``admin`` is optional. Raises
        ``ServeError``, also if other users may read the file."""
        return cls.parse(read_secret(path), str(path))

    @classmethod
    def parse(cls, text: bytes, where: str) -> "Keys":
        """Parses the content of such a file; raises ``ServeError``, whose text begins with ``where``."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            raise ServeError(f'{where}: not JSON; it holds {{"primary": KEY, "secondary": KEY, "admin": KEY}}') from None
        known = isinstance(values, dict) and OF_CLIENTS <= set(values) <= set(Which)
        if not known or not all(map(_sound, values.values())):
            raise ServeError(f"{where}: must hold primary and secondary, may hold admin, and nothing else, each a key of "
                             f"{SHORTEST} or more printable ASCII characters without blanks")
        if values.get(Which.ADMIN) in (values[Which.PRIMARY], values[Which.SECONDARY]):
            raise ServeError(f"{where}: admin is a key of clients, too; it must be one of its own")
        return cls(**values)

    def to_json(self) -> bytes:
        """The content of such a file."""
        return json.dumps({name: key for name, key in asdict(self).items() if key is not None}).encode()

    def save(self, path: Path) -> None:
        """Writes the file atomically with mode 0600."""
        write_secret(path, self.to_json())

    def regenerated(self, which: Which) -> "Keys":
        """A copy in which one key is new."""
        return replace(self, **{which.value: secrets.token_urlsafe(KEY_BYTES)})

    def match(self, given: str) -> bool:
        """Whether ``given`` is one of the keys, in constant time."""
        encoded = given.encode("utf-8", "surrogateescape")
        first = hmac.compare_digest(encoded, self.primary.encode())
        second = hmac.compare_digest(encoded, self.secondary.encode())
        return first | second | self.match_admin(given)

    def match_admin(self, given: str) -> bool:
        """Whether ``given`` is the operator's key, in constant time."""
        encoded = given.encode("utf-8", "surrogateescape")
        return self.admin is not None and hmac.compare_digest(encoded, self.admin.encode())


def rotate(path: Path, which: Which) -> Keys:
    """Replaces one key in a file; services that use the file accept the new key from their next request on."""
    keys = Keys.load(path).regenerated(which)
    keys.save(path)
    return keys


class KeyFile:
    """The keys in a file, reloaded whenever it changes; while it cannot be read, the last keys remain valid."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = stamp(path)
        self._keys = Keys.load(path)

    def allows(self, authorization: str | None) -> bool:
        """Whether the value of ``authorization``, ``Bearer KEY`` or the bare key, contains a valid key."""
        return self._current().match(_bare(authorization))

    def allows_admin(self, authorization: str | None) -> bool:
        """Whether it is the operator's key."""
        return self._current().match_admin(_bare(authorization))

    def _current(self) -> Keys:
        if (now := stamp(self._path)) != self._seen:
            self._seen = now
            self._reload()
        return self._keys

    def _reload(self) -> None:
        try:
            self._keys = Keys.load(self._path)
            log.info("keys read again", extra={"event": "keys"})
        except ServeError as error:
            log.error("keys stay as they were: %s", error, extra={"event": "keys"})


def stamp(path: Path) -> tuple[int, int, int] | None:
    """A value that changes with the file's content; None if there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size


def _bare(authorization: str | None) -> str:
    """The key in a header's value; the empty string, which is never a key, if it holds none."""
    value = (authorization or "").strip()
    scheme, _, rest = value.partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else value


def _sound(key: object) -> bool:
    return isinstance(key, str) and len(key) >= SHORTEST and key.isascii() and key.isprintable() and " " not in key


def read_secret(path: Path) -> bytes:
    """The file's content; raises ``ServeError`` if it cannot be read, or if every user of the machine can read it."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & OTHERS:
                raise ServeError(f"{path}: every user may read this secret; run chmod 600 {path}")
            return file.read()
    except OSError as error:
        raise ServeError(f"{path}: cannot be read: {error.strerror}") from None


def write_secret(path: Path, content: bytes) -> None:
    """Atomically writes a file that only its owner may read; raises ``ServeError``."""
    try:
        with write_atomically(path, OWNER_ONLY, synchronize=True) as file:
            file.write(content)
    except OSError as error:
        raise ServeError(f"{path}: cannot be written: {error.strerror}") from None
