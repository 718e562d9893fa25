"""Sends odd requests and checks the answers: one sender per thread and port."""

import http.client
import random
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

import grpc

from arrayloom.host.serving.protocols.open_inference import JSON_LENGTH
from benchmarks.service.mutate import ODD_TEXTS, mutated, mutated_json
from benchmarks.service.running import Service
from benchmarks.service.seeds import HttpSeed, grpc_seeds, http_seeds

SECONDS = 60.0
GOOD_5XX = (503, 504)
"""Acceptable answers of a server that is full or misses a deadline."""

BAD_CODES = ("INTERNAL", "UNKNOWN", "DATA_LOSS")
HEADERS = ("Content-Encoding", "Content-Type", JSON_LENGTH, "Transfer-Encoding", "Host", "Origin", "Accept-Encoding",
           "Expect", "X-Request-Id", "Content-Length")
VALUES = ("gzip", "deflate", "identity", "application/json", "text/plain", "0", "7", "-1", "99999999999999999999", "chunked",
          "é")


@dataclass(frozen=True)
class Answer:
    """``status``: the HTTP number or gRPC name; ``fault``: what is wrong with the answer, or empty."""

    call: str
    status: str
    fault: str = ""


class Sender(Protocol):
    def send(self, rng: random.Random) -> Answer:
        """Sends one request, determined by the state of ``rng`` alone."""
        ...

    def close(self) -> None: ...


class GrpcSender:
    """Messages with changed bytes."""

    def __init__(self, service: Service) -> None:
        self._channel = grpc.insecure_channel(f"127.0.0.1:{service.port}", [("grpc.max_send_message_length", -1)])
        self._seeds = grpc_seeds()
        self._others = [data for _, data in self._seeds]

    def send(self, rng: random.Random) -> Answer:
        method, data = rng.choice(self._seeds)
        try:
            self._channel.unary_unary(method.path)(mutated(data, self._others, rng), timeout=SECONDS)
            return Answer(method.name, "OK")
        except grpc.RpcError as error:
            code = error.code().name
            late = code == "DEADLINE_EXCEEDED" and error.details() == "Deadline Exceeded"      # raised by the client itself
            bad = code in BAD_CODES or late
            return Answer(method.name, code, f"{code}: {error.details()}"[:300] if bad else "")

    def close(self) -> None:
        self._channel.close()


class HttpSender:
    """Bodies with changed values or bytes; sometimes paths, verbs and headers, too."""

    def __init__(self, service: Service) -> None:
        self._port = service.facts["http_port"]
        self._seeds = http_seeds()
        self._connection: http.client.HTTPConnection | None = None

    def send(self, rng: random.Random) -> Answer:
        seed = rng.choice(self._seeds)
        verb, path, headers = _line(seed, rng)
        body = mutated_json(seed.body, rng) if verb != "GET" or rng.random() < 0.1 else None
        call = f"{verb} {path}"[:200]
        for fresh in (self._connection is None, True):
            if self._connection is None:
                self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=SECONDS)
            try:
                self._connection.request(verb, path, body, headers)
                response = self._connection.getresponse()
                response.read()
                bad = response.status >= 500 and response.status not in GOOD_5XX
                return Answer(call, str(response.status), f"{response.status}" if bad else "")
            except TimeoutError:
                self.close()
                own = "Content-Length" in headers       # the service waits for the rest of a body, which never comes
                return Answer(call, "timeout", "" if own else f"no answer within {SECONDS} s")
            except (OSError, http.client.HTTPException) as error:
                self.close()
                if fresh:       # the connection may have been closed after the previous answer
                    own = "Content-Length" in headers or "Transfer-Encoding" in headers
                    return Answer(call, "no answer", "" if own else f"{type(error).__name__}: {error}"[:300])
        raise AssertionError("the second turn returns")

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def _line(seed: HttpSeed, rng: random.Random) -> tuple[str, str, dict[str, str]]:
    """Verb, path and headers, mostly valid."""
    verb, path = seed.verb, seed.path
    headers: dict[str, Any] = {"Content-Type": "application/json"}
    if rng.random() < 0.1:
        verb = rng.choice(("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"))
    if rng.random() < 0.1:
        parts = path.split("/")
        parts[rng.randrange(1, len(parts))] = rng.choice((*ODD_TEXTS, "versions", "digits:9", "99999999999999999999"))
        path = "/".join(quote(part.encode("utf-8", "surrogatepass"), safe=":") for part in parts)
    if rng.random() < 0.1:
        headers[rng.choice(HEADERS)] = rng.choice(VALUES)
    return verb, path, {name: value.encode("latin-1").decode("latin-1") for name, value in headers.items()}
