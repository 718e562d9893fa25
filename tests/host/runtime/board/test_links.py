"""Ports and links: refusals, and boards that stay silent or send nonsense."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

pytest.importorskip("litex", reason="the extra board is not installed")

from arrayloom import Session
from arrayloom.host.models import digits
from arrayloom.host.runtime.backends import open_device
from arrayloom.host.runtime.board import links, litex_clients
from arrayloom.host.runtime.board.links import open_link
from arrayloom.host.runtime.errors import BoardError
from arrayloom.isa.config import PRESETS


@pytest.mark.parametrize(("port", "message"), [
    (None, r"needs a port \(--board-port, or port= in Python\): a device such as /dev/ttyUSB0"),
    ("", r"needs a port"),
    ("carrier://pigeon", r"'carrier://pigeon': unknown kind 'carrier'; there are a device"),
    ("/dev/no_such_uart", r"/dev/no_such_uart: cannot be opened: .*No such file"),
    ("/dev/ttyUSB0@fast", r"the baud rate 'fast' is not a positive number"),
    ("/dev/ttyUSB0@0", r"the baud rate '0' is not a positive number"),
    ("udp://:1234", r"names no host"),
    ("litex://localhost:99999", r"Port out of range"),
    ("litex://127.0.0.1:1", r"litex://127.0.0.1:1: cannot be opened: .*refused"),
])
def test_ports_are_refused_by_name(port: str | None, message: str) -> None:
    with pytest.raises(BoardError, match=message):
        open_link(port)


def test_a_port_is_for_the_board_alone() -> None:
    with pytest.raises(BoardError, match=r"/dev/ttyUSB0: the backend rtl has none"):
        Session(digits.MODEL, config="tiny", backend="rtl", port="/dev/ttyUSB0")


def test_without_litex_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(BoardError, match=r"litex, which is not installed: pip install 'arrayloom\[board\]'"):
        open_link("/dev/ttyUSB0")


@contextmanager
def serial_peer(answer: bytes) -> Iterator[str]:
    """A serial line over TCP; for each command, its other end returns so many bytes of ``answer``."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        def serve() -> None:
            peer, _ = server.accept()
            with peer:
                while peer.recv(4096):
                    peer.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield f"socket://127.0.0.1:{server.getsockname()[1]}"


def test_a_silent_line_is_no_board(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "TIMEOUT_SECONDS", 0.2)
    with serial_peer(b"abc") as port, pytest.raises(BoardError, match=r"does not answer \(3 of 4 bytes came\): check cable"):
        open_device("board", PRESETS["tiny"], port)


def test_a_line_that_talks_nonsense_is_no_board() -> None:
    with serial_peer(bytes(8)) as port, pytest.raises(BoardError, match=r"word 0x00000000 instead of 0x4c4f4f4d"):
        open_device("board", PRESETS["tiny"], port)


def test_no_etherbone_core_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litex_clients.UdpClient, "probe", lambda *_, **__: 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("", 0))
        number = free.getsockname()[1]
    with pytest.raises(BoardError, match=rf"no Etherbone core answers at 127.0.0.1:{number}"):
        open_link(f"udp://127.0.0.1:{number}")
