"""Compares ``arrayloom serve`` with a minimal server of ONNX Runtime: ratios of latency percentiles and throughput over gRPC
and HTTP, and the overhead of the service over its device's time.

Clients send both the same tensors in closed loops; each server reports the waiting time and the device time,
and the rest is the server's overhead. ``python -m benchmarks.serve --requests 500 --clients 1``; ``--write`` puts the
table into docs/service.md.
"""

import argparse
import contextlib
import http.client
import json
import re
import shlex
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
from benchmarks import output, serve_table
from benchmarks.command import SUCCESS, parser_of, run
from benchmarks.environment import environment
from benchmarks.serve_table import Row

Tensor = NDArray[np.float32]
Ask = Callable[[], str]
"""Sends one request and returns the server's timing."""

PERCENTILES = (50, 90, 95, 99)
START_SECONDS = 120


@dataclass(frozen=True)
class Target:
    """A running service, and the tensor to send."""

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
    """Percentiles in milliseconds: of the whole request, of the device, and of the rest without device and queue."""
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
def served(bundle: Bundle, options: list[str], batch: int = 1) -> Iterator[Target]:
    """``arrayloom serve`` with one bundle on free ports."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "bundle")
        bundle.save(folder)
        command = ["arrayloom", "serve", str(folder), "--port", "0", "--http-port", "0", "--log-level", "warning", *options]
        with _started(command, Path(scratch), bundle, batch) as target:
            yield target


@contextlib.contextmanager
def onnxruntime_served(model: Path, bundle: Bundle, workers: int, threads: int, batch: int) -> Iterator[Target]:
    """ONNX Runtime's server with the model of a bundle."""
    with tempfile.TemporaryDirectory() as scratch:
        command = ["benchmarks.onnxruntime_server", str(model), "--workers", str(workers), "--threads", str(threads)]
        with _started(command, Path(scratch), bundle, batch) as target:
            yield target


@contextlib.contextmanager
def _started(command: list[str], scratch: Path, bundle: Bundle, batch: int) -> Iterator[Target]:
    """A server as a process, once it is ready."""
    ready = scratch / "ready.json"
    process = subprocess.Popen([sys.executable, "-m", *command, "--ready-file", str(ready)], stdout=subprocess.DEVNULL)
    try:
        facts = _wait(process, ready)
        port = bundle.program.model_inputs[0]
        tensor = np.random.default_rng(0).random((batch, *port.shape), np.float32)
        yield Target(bundle.name, port.name, tensor, facts["port"], facts["http_port"], process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _wait(process: subprocess.Popen[bytes], ready: Path) -> dict[str, Any]:
    end = time.monotonic() + START_SECONDS
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            raise InputError("the service did not start; see its log above")
        time.sleep(0.05)
    return json.loads(ready.read_text())


def _parser() -> argparse.ArgumentParser:
    parser = parser_of("benchmarks.serve", __doc__)
    parser.add_argument("--model", type=Path, default=digits.MODEL, metavar="MODEL.onnx", help="default: the digits network")
    parser.add_argument("--requests", type=int, default=300, metavar="N", help="requests per protocol (default 300)")
    parser.add_argument("--warm", type=int, default=10, metavar="N", help="warm-up requests of each client (default 10)")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8], metavar="N", help="closed loops (default 1 8)")
    parser.add_argument("--protocols", nargs="+", default=list(PROTOCOLS), choices=PROTOCOLS, help="default: both")
    parser.add_argument("--replicas", type=int, default=1, metavar="N", help="requests at a time (default 1)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads of each replica (default 1)")
    parser.add_argument("--batch", type=int, default=1, metavar="N", help="images in a request (default 1)")
    parser.add_argument("--write", action="store_true", help="put the table into docs/service.md")
    parser.add_argument("--backend", default="emulator", choices=("emulator", "rtl"), help="default: emulator")
    add_config(parser)
    return parser


def _action(options: argparse.Namespace) -> int:
    if min(options.requests, options.replicas, options.threads, options.batch, *options.clients) < 1 or options.warm < 0:
        raise InputError("--requests, --clients, --replicas, --threads and --batch must be at least 1, --warm not negative")
    bundle = Bundle.create("model", compile_model(options.model, config=options.config))
    rows, others = _measure_both(options, bundle)
    facts = {"model": options.model.name, "config": options.config, "backend": options.backend,
             "replicas": options.replicas, "threads": options.threads, "batch": options.batch, "runs": rows,
             "onnxruntime": others, "ratios": serve_table.ratios(rows, others)}
    if output.deliver(options, facts):
        _print(rows, others)
    if options.write:
        serve_table.write(environment() | facts, shlex.join(["python", "-m", "benchmarks.serve", *sys.argv[1:]]))
    return SUCCESS


def _measure_both(options: argparse.Namespace, bundle: Bundle) -> tuple[list[Row], list[Row]]:
    """Runs the service and ONNX Runtime's server alternately."""
    count = ["--replicas", str(options.replicas), "--backend", options.backend]
    count += ["--threads", str(options.threads)] if options.backend == "emulator" else []
    with served(bundle, count, options.batch) as ours, \
            onnxruntime_served(options.model, bundle, options.replicas, options.threads, options.batch) as theirs:
        runs = [[measure(target, protocol, options.requests, clients, options.warm) for target in (ours, theirs)]
                for clients in options.clients for protocol in options.protocols]
    return [pair[0] for pair in runs], [pair[1] for pair in runs]


def _print(rows: list[Row], others: list[Row]) -> None:
    table = Table("server", "protocol", "clients", "requests/s", "p50", "p99", "device p50", "added p50", "added p99",
                  title="milliseconds")
    for pair in zip(rows, others, strict=True):
        for name, row in zip(("Arrayloom", "ONNX Runtime"), pair, strict=True):
            parts = (("latency_ms", "p50"), ("latency_ms", "p99"), ("device_ms", "p50"), ("added_ms", "p50"),
                     ("added_ms", "p99"))
            table.add_row(name, row["protocol"], str(row["clients"]), f"{row['requests_per_second']:.1f}",
                          *(f"{row[part][percentile]:.2f}" for part, percentile in parts))
    Console().print(table)


if __name__ == "__main__":
    sys.exit(run(_parser(), _action))
