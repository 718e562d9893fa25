"""The certificate of a service, reloaded when its files change, so that it can be renewed while the service runs."""

import ssl
import threading
from dataclasses import dataclass, field
from pathlib import Path

from arrayloom.host.serving.core.keys import read_secret, stamp
from arrayloom.host.serving.core.logs import log
from arrayloom.host.serving.errors import ServeError


@dataclass(frozen=True)
class Pair:
    """A certificate chain and its key in PEM, and the TLS context made from them."""

    chain: bytes
    key: bytes = field(repr=False)
    context: ssl.SSLContext

    @classmethod
    def load(cls, chain: Path, key: Path) -> "Pair":
        """Loads the pair; raises ``ServeError`` if the files cannot be read or do not match."""
        for file in (chain, key):
            if not file.is_file():
                raise ServeError(f"{file}: no such file")
        secret = read_secret(key)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(chain, key)
            return cls(chain.read_bytes(), secret, context)
        except (OSError, ssl.SSLError) as error:
            raise ServeError(f"{chain}, {key}: no certificate with its key in PEM: {error}") from None


class Certificate:
    """The certificate in two files; both servers ask for it at each new connection. While a new one is incomplete or
    damaged, the last one remains in use."""

    def __init__(self, chain: Path, key: Path) -> None:
        self._files = (chain, key)
        self._lock = threading.Lock()       # gRPC asks from its own threads
        self._seen = self._stamps()
        self._pair = Pair.load(chain, key)

    def current(self) -> Pair:
        """The current certificate; the same object as long as the files have not changed."""
        with self._lock:
            if (now := self._stamps()) != self._seen:
                self._seen = now
                self._reload()
            return self._pair

    def serving_context(self) -> ssl.SSLContext:
        """A server context that uses the current certificate for each connection."""
        context = Pair.load(*self._files).context

        def choose(connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _context: ssl.SSLContext) -> None:
            connection.context = self.current().context

        context.sni_callback = choose       # called also for clients that name no server
        return context

    def _stamps(self) -> list[tuple[int, int, int] | None]:
        return [stamp(file) for file in self._files]

    def _reload(self) -> None:
        try:
            self._pair = Pair.load(*self._files)
            log.info("certificate read again", extra={"event": "certificate"})
        except ServeError as error:
            log.error("the certificate is unchanged: %s", error, extra={"event": "certificate"})
