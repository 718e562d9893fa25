"""Links to a board: LiteX's own clients, changed to fail instead of waiting for ever or returning made-up zeros."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from arrayloom.host.runtime.errors import BoardError

REMEDY = "pip install 'arrayloom[board]'"
BAUD = 1_000_000
ETHERBONE_PORT = 1234
TIMEOUT_SECONDS = 5.0
SERIAL_WORDS = 128      # the length field of a read allows 255; LiteX splits writes itself
ETHERBONE_WORDS = 4     # LiteX's server uses the same limit: the core needs a deeper buffer for more
KINDS = ("a device such as /dev/ttyUSB0 or /dev/ttyUSB0@115200, socket://HOST:PORT for a serial line over TCP, "
         "udp://HOST[:PORT] for Etherbone, litex://HOST[:PORT] for a litex_server")


class Link:
    """32-bit words over a bus bridge, at byte addresses."""

    def __init__(self, port: str, client: Any, burst: int) -> None:
        self.port, self._client, self._burst = port, client, burst

    def read(self, address: int, count: int) -> list[int]:
        """Reads ``count`` consecutive words. Raises ``BoardError`` if the board does not answer."""
        words: list[int] = []
        while len(words) < count:
            size = min(self._burst, count - len(words))
            words += self._guard(self._client.read, address + 4 * len(words), size)
        return words

    def write(self, address: int, words: list[int]) -> None:
        """Writes consecutive words. Raises ``BoardError`` if the connection is lost."""
        for first in range(0, len(words), self._burst):
            self._guard(self._client.write, address + 4 * first, words[first:first + self._burst])

    def close(self) -> None:
        """Closes the connection."""
        self._client.close()

    def _guard(self, access: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return access(*arguments)
        except OSError as error:
            raise BoardError(f"{self.port}: the board does not answer ({error or type(error).__name__}): check cable, power "
                             "and bitstream") from None


@dataclass(frozen=True)
class _Address:
    host: str
    port: int


def open_link(port: str | None) -> Link:
    """Opens the link named by ``port``. Raises ``BoardError`` if there is no such port, or a package is missing."""
    if not port:
        raise BoardError(f"the backend board needs a port (--board-port, or port= in Python): {KINDS}")
    if importlib.util.find_spec("litex") is None:
        raise BoardError(f"the backend board needs the package litex, which is not installed: {REMEDY}")
    scheme = urlsplit(port).scheme if "://" in port else "serial"
    openers = {"serial": _open_serial, "socket": _open_serial, "udp": _open_udp, "litex": _open_server}
    if scheme not in openers:
        raise BoardError(f"board port {port!r}: unknown kind {scheme!r}; there are {KINDS}")
    try:
        return openers[scheme](port)
    except OSError as error:
        raise BoardError(f"board port {port}: cannot be opened: {error}") from None


def _open_serial(port: str) -> Link:
    from arrayloom.host.runtime.board.litex_clients import SerialClient

    device, baud = port, BAUD
    if "://" not in port and "@" in port:
        device, _, text = port.rpartition("@")
        if not text.isdecimal() or not int(text):
            raise BoardError(f"board port {port}: the baud rate {text!r} is not a positive number")
        baud = int(text)
    return Link(port, SerialClient(device, baud, TIMEOUT_SECONDS), SERIAL_WORDS)


def _open_udp(port: str) -> Link:
    from arrayloom.host.runtime.board.litex_clients import UdpClient

    address = _address(port)
    return Link(port, UdpClient(address.host, address.port), ETHERBONE_WORDS)


def _open_server(port: str) -> Link:
    from arrayloom.host.runtime.board.litex_clients import ServerClient

    address = _address(port)
    return Link(port, ServerClient(address.host, address.port, TIMEOUT_SECONDS), SERIAL_WORDS)


def _address(port: str) -> _Address:
    try:
        parts = urlsplit(port)
        found = _Address(parts.hostname or "", parts.port or ETHERBONE_PORT)
    except ValueError as error:
        raise BoardError(f"board port {port}: {error}; there are {KINDS}") from None
    if not found.host:
        raise BoardError(f"board port {port}: names no host; there are {KINDS}")
    return found
