"""Services under test: bundles of the digits network, and ``arrayloom serve`` as a process on free ports of the loopback."""

import contextlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnx
from numpy.typing import NDArray

from arrayloom.compiler import compile_model
from arrayloom.host.models import digits
from arrayloom.host.runtime.session import Session
from arrayloom.host.serving import Bundle
from benchmarks.service.running import is_replica

START_SECONDS = 180


def make_bundles(folder: Path) -> dict[str, Bundle]:
    """``digits`` in two versions for two configurations, and ``turned``, with its classes rotated by one."""
    bundles = {"one": Bundle.create("digits", compile_model(digits.MODEL, config="16x16"), 1, digits.LABELS, "digits"),
               "two": Bundle.create("digits", compile_model(digits.MODEL, config="tiny"), 2, digits.LABELS, "digits"),
               "turned": Bundle.create("turned", compile_model(_turned(), config="16x16"), 1, recipe="digits")}
    for name, bundle in bundles.items():
        bundle.save(folder / name)
    return bundles


def _turned() -> onnx.ModelProto:
    """The digits network with the rows of its classifier rotated by one."""
    model = onnx.load(digits.MODEL)
    classifier = next(node for node in model.graph.node if node.op_type == "QGemm")
    for initializer in model.graph.initializer:
        values = onnx.numpy_helper.to_array(initializer)
        if initializer.name in classifier.input and 10 in values.shape:
            axis = values.shape.index(10)
            initializer.CopyFrom(onnx.numpy_helper.from_array(np.roll(values, 1, axis), initializer.name))
    return model


def images(count: int, seed: int = 0) -> NDArray[np.float32]:
    """float32 [count, 1, 8, 8], all different."""
    return np.random.default_rng(seed).random((count, 1, 8, 8), np.float32)


def expected(bundle: Bundle, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """The result of ``Session.run`` for every image."""
    with Session(bundle.program, bundle.program.configuration, "emulator") as session:
        return session.run({bundle.program.inputs[0].name: inputs})[bundle.program.outputs[0].name]


class Server:
    """``arrayloom serve`` with folders of bundles and options; a context manager that stops it."""

    def __init__(self, folder: Path, *arguments: str | Path) -> None:
        self._ready, self.log_path = folder / "ready.json", folder / "log.txt"
        self._seen: list[int] = []
        # Tests that count or kill replicas expect only those that run requests.
        arguments = arguments if "--spares" in arguments else (*arguments, "--spares", "0")
        self._command = [sys.executable, "-m", "arrayloom", "serve", *map(str, arguments), "--port", "0", "--http-port", "0",
                         "--ready-file", str(self._ready)]

    def __enter__(self) -> Self:
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log)
        end = time.monotonic() + START_SECONDS
        while not self._ready.exists():
            if self.process.poll() is not None or time.monotonic() > end:
                self.process.kill()
                raise RuntimeError(f"the service did not start:\n{self.log}")
            time.sleep(0.02)
        self.facts: dict[str, Any] = json.loads(self._ready.read_text())
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(90)
        self.process.kill()
        self.process.wait()

    @property
    def port(self) -> int:
        return self.facts["port"]

    @property
    def url(self) -> str:
        return f"{'https' if self.facts['tls'] else 'http'}://127.0.0.1:{self.facts['http_port']}"

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def events(self, name: str) -> list[dict[str, Any]]:
        """The log's entries for an event."""
        lines = [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]
        return [line for line in lines if line.get("event") == name]

    def children(self) -> list[int]:
        """Process identifiers of all its processes: replicas, spares and readers."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        self._seen = [int(child) for task in tasks for child in task.read_text().split()]
        return self._seen

    def replicas(self) -> list[int]:
        """Process identifiers of the running replicas and spares, oldest first."""
        return sorted(filter(is_replica, self.children()))

    def survivors(self) -> list[int]:
        """Processes seen in the last listing that still run."""
        return [pid for pid in self._seen if Path(f"/proc/{pid}").exists()]
