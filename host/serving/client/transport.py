"""How a client reaches a service: the channel, the metadata of every call, and retries."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from arrayloom.host.serving.core.protocol import GATEWAY_HEADER, GATEWAY_PREFIX
from arrayloom.host.serving.errors import ClientError

try:
    import grpc
except ModuleNotFoundError:     # gRPC is an extra: without it the class can be imported and documented, but not instantiated
    grpc = None

T = TypeVar("T")

LARGEST_ANSWER = 1 << 30


@dataclass(frozen=True)
class Retries:
    """Retries, for UNAVAILABLE only. By default there are five attempts, 1, 2, 4 and 8 seconds apart.

    Parameters
    ----------
    tries
        Number of attempts, at least 1; ``ValueError`` otherwise.
    first_pause
        Seconds before the second attempt; doubled for each further one.
    sleep
        The function that waits; tests replace it.
    """

    tries: int = 5
    first_pause: float = 1.0
    sleep: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        if self.tries < 1 or self.first_pause < 0:
            raise ValueError(f"tries {self.tries} must be at least 1, first_pause {self.first_pause} not negative")

    def call(self, action: Callable[[], T]) -> T:
        """The result of ``action``; raises the ``grpc.RpcError`` of the last attempt."""
        for attempt in range(self.tries - 1):
            try:
                return action()
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
                self.sleep(self.first_pause * 2 ** attempt)
        return action()


def ask(action: Callable[[], T], retries: Retries) -> T:
    """The result of a call, repeated according to ``retries``; raises ``ClientError`` with the service's reason."""
    try:
        return retries.call(action)
    except grpc.RpcError as error:
        code = error.code().name
        raise ClientError(f"{code}: {error.details()}", code) from None


def require_grpc() -> None:
    """Raises ``ClientError`` if gRPC (extra ``serve``) is not installed."""
    if grpc is None:
        raise ClientError("PredictionClient needs the package grpc; install it with: pip install '.[serve]'")


def metadata(access_token: str | None, service_name: str | None) -> list[tuple[str, str]]:
    """Metadata of every call: the key and the name of the service."""
    key = [("authorization", f"Bearer {access_token}")] if access_token else []
    return key + ([(GATEWAY_HEADER, GATEWAY_PREFIX + service_name)] if service_name else [])


def channel(address: str, port: int, use_ssl: bool, roots: bytes | Path | None, server_name: str | None) -> Any:
    """A gRPC channel; raises ``ClientError`` if the certificates cannot be read."""
    target = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    options: list[tuple[str, Any]] = [("grpc.max_receive_message_length", LARGEST_ANSWER),
                                      ("grpc.max_send_message_length", -1),
                                      ("grpc.enable_retries", 0)]      # ``Retries`` decides about retries, not gRPC
    if server_name:
        options.append(("grpc.ssl_target_name_override", server_name))
    if not use_ssl:
        return grpc.insecure_channel(target, options)
    return grpc.secure_channel(target, grpc.ssl_channel_credentials(_roots(roots)), options)


def _roots(roots: bytes | Path | None) -> bytes | None:
    if not isinstance(roots, Path):
        return roots
    try:
        return roots.read_bytes()
    except OSError as error:
        raise ClientError(f"{roots}: cannot be read: {error.strerror}") from None
