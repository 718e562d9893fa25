"""LiteX's clients, changed to raise ``TimeoutError`` where they would wait for ever or return zeros for missing data."""

from typing import Any

from litex.tools.litex_client import RemoteClient
from litex.tools.remote.comm_uart import CommUART
from litex.tools.remote.comm_udp import CommUDP

from arrayloom.host.runtime.board.description import DESCRIPTION


class SerialClient(CommUART):
    """Over a UART, or over a socket that carries its bytes. Open from the beginning.

    LiteX sends each command in small pieces; here they are sent together, since many small transfers are slow
    over a socket or USB adapter.
    """

    def __init__(self, device: str, baud: int, timeout: float) -> None:
        super().__init__(device, baud)
        self.port.timeout = timeout
        self._gathered = bytearray()

    def write(self, address: int, words: Any, burst: str = "incr") -> None:
        super().write(address, words, burst)
        self._send()

    def _write(self, data: Any) -> None:
        self._gathered += bytes(data)

    def _read(self, length: int) -> bytes:
        self._send()
        data = b""
        while len(data) < length:
            part = self.port.read(length - len(data))
            if not part:
                raise TimeoutError(f"{len(data)} of {length} bytes came")
            data += part
        return data

    def _send(self) -> None:
        sent, self._gathered = bytes(self._gathered), bytearray()
        if sent:
            super()._write(sent)


class UdpClient(CommUDP):
    """Over Etherbone. Open from the beginning.

    Writes are not acknowledged, and the core loses writes that come too fast; therefore a word is read after each.
    """

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self.open(probe=False)
        if not self.probe(host, port, loose=True):
            self.close()
            raise TimeoutError(f"no Etherbone core answers at {host}:{port}")

    def write(self, address: int, words: Any) -> None:
        super().write(address, words)
        self.read(DESCRIPTION, 1)


class ServerClient(RemoteClient):
    """Through a litex_server. Open from the beginning."""

    def __init__(self, host: str, port: int, timeout: float) -> None:
        super().__init__(host, port, csr_csv=None, csr_data_width=None)
        self.csr_data_width = self.csr_bus_address_width = 32
        self.open()
        self.socket.settimeout(timeout)

    def receive_packet(self, socket: Any, addr_size: int) -> Any:
        packet = super().receive_packet(socket, addr_size)
        if packet == 0:
            raise TimeoutError("litex_server gave no answer")
        return packet
