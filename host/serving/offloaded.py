"""Reads messages for a service: ``python -m arrayloom.host.serving.offloaded FD MEMORY``.

The service holds the other end of socket FD. The process may allocate MEMORY bytes more than at its start, runs at a lower
priority than the service, and ends with it.
"""

import contextlib
import gc
import os
import resource
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from arrayloom.host.serving.core.frames import Block, receive_blocking, send_blocking
from arrayloom.host.serving.core.reading import Limits
from arrayloom.host.serving.errors import ClosedError, ServiceError
from arrayloom.host.serving.protocols.registry import PROTOCOLS
from arrayloom.isa.errors import ArrayloomError

READERS = {name: reader for protocol in PROTOCOLS for name, reader in protocol.readers.items()}
NICENESS = 5
_PAGE = 4096


def answer(header: dict[str, Any], blocks: list[memoryview]) -> tuple[dict[str, Any], list[Block]]:
    """The content of a message, or why it cannot be read."""
    try:
        return READERS[header["reader"]].read(bytes(blocks[0]), header["facts"], Limits(**header["limits"])).pack()
    except ServiceError as error:
        return {"error": error.kind.name, "message": str(error)}, []
    except ArrayloomError as error:
        return {"error": "INVALID", "message": str(error)}, []
    except MemoryError:
        return {"error": "INVALID", "message": "reading the message needs too much memory; send a smaller one"}, []


def main(arguments: list[str]) -> None:
    """Answers until the service closes the socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICENESS)
    gc.disable()    # nothing here is circular, and each garbage collection would scan millions of lists
    used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * _PAGE
    resource.setrlimit(resource.RLIMIT_AS, (used + int(arguments[1]),) * 2)
    connection = socket.socket(fileno=int(arguments[0]))
    with contextlib.suppress(ClosedError):
        while True:
            send_blocking(connection, *answer(*receive_blocking(connection)))


if __name__ == "__main__":
    main(sys.argv[1:])
