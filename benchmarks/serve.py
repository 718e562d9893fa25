"""What a service adds to the time of its device: latency percentiles and throughput of ``arrayloom serve``, over gRPC and
HTTP.

Clients ask in closed loops with tensors; the server says how long each request waited and how long the device took, and
what is left is the service's own. ``python -m benchmarks.serve --requests 500 --clients 1``.
"""

import argparse
import contextlib
import http.client
import json
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from arrayloom.compiler import compile_model
from arrayloom.host.cli.common import add_config
from arrayloom.host.models import digits
from arrayloom.host.runtime.errors import InputError
from arrayloom.host.serving import Bundle
from arrayloom.host.serving.core.metrics import resident_bytes
from arrayloom.host.serving.core.protocol import TIMING
from arrayloom.host.serving.protocols.open_inference import INFER, JSON_LENGTH
from arrayloom.host.serving.protocols.tensorflow import tensors
from arrayloom.host.serving.protocols.tensorflow.messages import PREDICT, tfs
from arrayloom.sim.rtl.process import PYTHON
from benchmarks import output
from benchmarks.command import SUCCESS, parser_of, run

Tensor = NDArray[np.float32]
Ask = Callable[[], str]
"""Sends one request and returns the server's timing."""

PERCENTILES = (50, 90, 95, 99)
START_SECONDS = 120


@dataclass(frozen=True)
class Target:
    """A running service, and the tensor it is asked with."""

    model: str
    input_name: str
    tensor: Tensor
    port: int
    http_port: int
    pid: int


def over_grpc(target: Target) -> Ask:
    """TensorFlow Serving's Predict."""
    channel = grpc.insecure_channel(f"127.0.0.1:{target.port}", [("grpc.max_send_message_length", -1)])
    call = channel.unary_unary(PREDICT.path)
    request = tfs.PredictRequest(model_spec=tfs.ModelSpec(name=target.model))

    def ask() -> str:
        request.inputs[target.input_name].CopyFrom(tensors.from_content(target.tensor))
        answer, state = call.with_call(request.SerializeToString())
        for tensor in PREDICT.response.FromString(answer).outputs.values():
            tensors.to_array(tensor)
        return next(value for key, value in state.trailing_metadata() if key == TIMING.lower())

    return ask


def over_http(target: Target) -> Ask:
    """The Open Inference Protocol with binary tensors, on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", target.http_port)
    head = {"inputs": [{"name": target.input_name, "datatype": "FP32", "shape": list(target.tensor.shape),
                        "parameters": {"binary_data_size": target.tensor.nbytes}}],
            "parameters": {"binary_data_output": True}}

    def ask() -> str:
        text = json.dumps(head).encode()
        connection.request("POST", INFER.at(target.model), text + target.tensor.tobytes(), {JSON_LENGTH: str(len(text))})
        response = connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise InputError(f"the service refused: {body.decode(errors='replace')}")
        np.frombuffer(body[int(response.headers[JSON_LENGTH]):], np.float32)
        return response.headers[TIMING]

    return ask


PROTOCOLS: dict[str, Callable[[Target], Ask]] = {"grpc": over_grpc, "http": over_http}


def measure(target: Target, protocol: str, requests: int, clients: int, warm: int) -> dict[str, Any]:
    """Percentiles in milliseconds: of the whole request, the device, and what is neither device nor queue."""
    samples: list[tuple[float, float, float]] = []
    lock = threading.Lock()
    shares = [requests // clients + (index < requests % clients) for index in range(clients)]

    def loop(count: int) -> None:
        ask = PROTOCOLS[protocol](target)
        for index in range(-warm, count):
            begin = time.perf_counter()
            timing = ask()
            total = 1000 * (time.perf_counter() - begin)
            parts = {name: float(value) for name, value in re.findall(r"(\w+);dur=([\d.]+)", timing)}
            if index >= 0:
                with lock:
                    samples.append((total, parts["device"], total - parts["device"] - parts["queue"]))

    threads = [threading.Thread(target=loop, args=(count,)) for count in shares]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - begin
    if len(samples) != requests:
        raise InputError(f"{requests - len(samples)} of {requests} requests were not answered")
    columns = np.array(samples).T
    named = zip(("latency_ms", "device_ms", "added_ms"), columns, strict=True)
    return {"protocol": protocol, "clients": clients, "requests": requests,
            "requests_per_second": (requests + warm * clients) / seconds,
            **{name: {f"p{p}": float(np.percentile(values, p)) for p in PERCENTILES} for name, values in named},
            "server_memory_bytes": resident_bytes(target.pid)}


@contextlib.contextmanager
def served(bundle: Bundle, options: list[str]) -> Iterator[Target]:
    """``arrayloom serve`` with one bundle on free ports."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, ready = Path(scratch, "bundle"), Path(scratch, "ready.json")
        bundle.save(folder)
        command = [*PYTHON, "-m", "arrayloom", "serve", str(folder), "--port", "0", "--http-port", "0", "--ready-file",
                   str(ready), "--log-level", "warning", *options]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            facts = _wait(process, ready)
            port = bundle.program.model_inputs[0]
            tensor = np.random.default_rng(0).random((1, *port.shape), np.float32)
            yield Target(bundle.name, port.name, tensor, facts["port"], facts["http_port"], process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def _wait(process: subprocess.Popen[bytes], ready: Path) -> dict[str, Any]:
    end = time.monotonic() + START_SECONDS
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            raise InputError("the service did not start; its log stands above")
        time.sleep(0.05)
    return json.loads(ready.read_text())


def _parser() -> argparse.ArgumentParser:
    parser = parser_of("benchmarks.serve", __doc__)
    parser.add_argument("--model", type=Path, default=digits.MODEL, metavar="MODEL.onnx", help="default: the digits network")
    parser.add_argument("--requests", type=int, default=300, metavar="N", help="for each protocol (default 300)")
    parser.add_argument("--warm", type=int, default=10, metavar="N", help="by each client before that (default 10)")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8], metavar="N", help="closed loops (default 1 8)")
    parser.add_argument("--protocols", nargs="+", default=list(PROTOCOLS), choices=PROTOCOLS, help="default: both")
    parser.add_argument("--replicas", type=int, default=1, metavar="N", help="of the service (default 1)")
    parser.add_argument("--backend", default="emulator", choices=("emulator", "rtl"), help="default: emulator")
    add_config(parser)
    return parser


def _action(options: argparse.Namespace) -> int:
    if options.requests < 1 or min(options.clients) < 1 or options.warm < 0:
        raise InputError("--requests and --clients must be at least 1, --warm not negative")
    bundle = Bundle.create("model", compile_model(options.model, config=options.config))
    with served(bundle, ["--replicas", str(options.replicas), "--backend", options.backend]) as target:
        rows = [measure(target, protocol, options.requests, clients, options.warm)
                for clients in options.clients for protocol in options.protocols]
    facts = {"model": options.model.name, "config": options.config, "backend": options.backend,
             "replicas": options.replicas, "runs": rows}
    if output.deliver(options, facts):
        _print(rows)
    return SUCCESS


def _print(rows: list[dict[str, Any]]) -> None:
    table = Table("protocol", "clients", "requests/s", *(f"latency p{p}" for p in PERCENTILES), "device p50", "added p50",
                  "added p99", title="milliseconds")
    for row in rows:
        figures = [*row["latency_ms"].values(), row["device_ms"]["p50"], row["added_ms"]["p50"], row["added_ms"]["p99"]]
        table.add_row(row["protocol"], str(row["clients"]), f"{row['requests_per_second']:.1f}",
                      *(f"{value:.2f}" for value in figures))
    Console().print(table)


if __name__ == "__main__":
    sys.exit(run(_parser(), _action))
