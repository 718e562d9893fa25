"""When a request is sent again."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc

T = TypeVar("T")


@dataclass(frozen=True)
class Retries:
    """Only UNAVAILABLE is worth another try: ``tries`` in all, with pauses of ``first_pause`` seconds, doubled each time.

    The default is five tries, 1, 2, 4 and 8 seconds apart. ``sleep`` is there for tests.
    """

    tries: int = 5
    first_pause: float = 1.0
    sleep: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        if self.tries < 1 or self.first_pause < 0:
            raise ValueError(f"tries {self.tries} must be at least 1, first_pause {self.first_pause} not negative")

    def call(self, action: Callable[[], T]) -> T:
        """The result of ``action``, or the ``grpc.RpcError`` of its last try."""
        for attempt in range(self.tries - 1):
            try:
                return action()
            except grpc.RpcError as error:
                if _code(error) is not grpc.StatusCode.UNAVAILABLE:
                    raise
                self.sleep(self.first_pause * 2 ** attempt)
        return action()


def _code(error: Any) -> Any:
    return error.code()
