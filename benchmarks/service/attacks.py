"""Requests designed to cost a service much more than their sender, and clients that send them."""

import contextlib
import gzip
import http.client
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import grpc

from arrayloom.host.serving.protocols import open_inference, tensorflow
from arrayloom.host.serving.protocols.health.protocol import CHECK, health
from arrayloom.host.serving.protocols.open_inference.messages import MODEL_INFER
from arrayloom.host.serving.protocols.tensorflow.messages import GET_MODEL_STATUS, PREDICT
from arrayloom.host.serving.protocols.wire import write_varint

ROOT = Path(__file__).parents[2]
V1, V2 = tensorflow.PREDICT.at("digits"), open_inference.INFER.at("digits")


class Target(Protocol):
    """Facts about a server that attacks need."""

    facts: dict[str, Any]

    @property
    def port(self) -> int: ...


Attack = Callable[[Target], None]


def post(path: str, body: bytes, **headers: str) -> Attack:
    """Sends a whole body at once."""
    def send(server: Target) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.facts["http_port"], timeout=60)
        with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
            connection.request("POST", path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            connection.getresponse().read()

    return send


def call(path: str, message: bytes) -> Attack:
    """Sends a whole message at once."""
    def send(server: Target) -> None:
        with grpc.insecure_channel(f"127.0.0.1:{server.port}", [("grpc.max_send_message_length", -1)]) as channel, \
                contextlib.suppress(grpc.RpcError):
            channel.unary_unary(path)(message, timeout=60)

    return send


def open_stalled(server: Target, body: bytes, declared: int, **headers: str) -> socket.socket:
    """A connection with the beginning of a body that is declared to be longer."""
    lines = [f"POST {V1} HTTP/1.1", "Host: localhost", f"Content-Length: {declared}",
             *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    connection = socket.create_connection(("127.0.0.1", server.facts["http_port"]), timeout=10)
    connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
    return connection


def stalled(body: bytes, declared: int, **headers: str) -> Attack:
    """A body that is never completed; the connection is held open for a while."""
    def send(server: Target) -> None:
        with contextlib.suppress(OSError), open_stalled(server, body, declared, **headers) as connection:
            connection.settimeout(3)
            connection.recv(1000)

    return send


def attacks(size: int) -> dict[str, Attack]:
    """One attack of each kind, with messages of ``size`` bytes."""
    lists, numbers = b"[" + b"[]," * (size // 3) + b"[]]", b"[" + b"1," * (size // 2 - 8) + b"1]"
    parts = b"\x0a\x00" * (size // 2)
    tensor = b"\x08\x01\x1a" + write_varint(size - 64) + bytes(size - 64)
    entry = b"\x0a\x05image\x12" + write_varint(len(tensor)) + tensor
    return {
        "gzip of lists": post(V1, gzip.compress(b'{"instances": ' + lists + b"}", 1), Content_Encoding="gzip"),
        "gzip of numbers": post(V1, gzip.compress(b'{"instances": ' + numbers + b"}", 1), Content_Encoding="gzip"),
        "gzip of nothing": post(V2, gzip.compress(bytes(4 * size), 1), Content_Encoding="gzip"),
        "lists": post(V2, b'{"inputs": ' + lists[:size - 16] + b"}"),
        "numbers": post(V1, b'{"inputs": ' + numbers[:size - 16] + b"}"),
        "text": post(V1, b'{"inputs": {"b64": "' + b"A" * (size - 64) + b'"}}'),
        "stalled gzip": stalled(gzip.compress(lists, 1)[:59_000], 60_000, Content_Encoding="gzip"),
        "stalled body": stalled(bytes(1 << 16), size),
        "empty parts": call(PREDICT.path, b"\x12\x00" * (size // 2)),
        "empty inputs": call(MODEL_INFER.path, b"\x2a\x00" * (size // 2)),
        "a large tensor": call(PREDICT.path, b"\x12" + write_varint(len(entry)) + entry),
        "unknown parts": call(PREDICT.path, b"\xfa\x3f\x00" * (size // 3)),
        "empty strings": call(MODEL_INFER.path, b"\x3a\x00" * (size // 2)),
        "a large small message": call(GET_MODEL_STATUS.path, parts),
        "a large probe": call(CHECK.path, parts),
    }


class Attackers:
    """Clients in a separate process that send attacks one by one until the block ends."""

    def __init__(self, server: Target, size: int, clients: int, *names: str) -> None:
        self._command = [sys.executable, "-m", "benchmarks.service.attacks", json.dumps(server.facts), str(size),
                         str(clients), *names]
        self.sent = 0

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *_: object) -> None:
        self.sent = int(self._process.communicate(timeout=120)[0])


@dataclass
class _Target:
    """The facts about the server for the attacks."""

    facts: dict[str, Any]

    @property
    def port(self) -> int:
        return self.facts["port"]


def _main(facts: str, size: str, clients: str, *names: str) -> None:
    """Attacks until standard input ends, then prints the number of attacks."""
    target, known, stop, sent = _Target(json.loads(facts)), attacks(int(size)), threading.Event(), []
    chosen = [known[name] for name in names or known]

    def work(index: int) -> None:
        while not stop.is_set():
            chosen[index % len(chosen)](target)
            sent.append(index)
            index += int(clients)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(int(clients))]
    print("ready", flush=True)
    for thread in threads:
        thread.start()
    sys.stdin.read()
    stop.set()
    for thread in threads:
        thread.join()
    print(len(sent))


def health_times(server: Target, seconds: float, pause: float = 0.02) -> dict[str, list[float]]:
    """Durations of consecutive probes of both ports, each on a persistent connection."""
    found: dict[str, list[float]] = {"http": [], "grpc": []}
    connection = http.client.HTTPConnection("127.0.0.1", server.facts["http_port"], timeout=60)
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel, contextlib.closing(connection):
        check = channel.unary_unary(CHECK.path, response_deserializer=health.HealthCheckResponse.FromString)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            begin = time.monotonic()
            connection.request("GET", open_inference.READY.path)
            response = connection.getresponse()
            response.read()
            assert response.status == 200
            middle = time.monotonic()
            assert check(b"", timeout=60).status == health.ServingStatus["SERVING"]
            found["http"].append(middle - begin)
            found["grpc"].append(time.monotonic() - middle)
            time.sleep(pause)
    return found


if __name__ == "__main__":
    _main(*sys.argv[1:])
