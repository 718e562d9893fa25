"""A network ready to run on a device."""

import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
import onnx
from numpy.typing import NDArray

from arrayloom.compiler import compile_model
from arrayloom.host.runtime.backends import open_device
from arrayloom.host.runtime.boundary import apply_tail, collect
from arrayloom.host.runtime.device import Device
from arrayloom.host.runtime.errors import DeviceError, SessionBusyError
from arrayloom.host.runtime.report import Progress, RunReport, total
from arrayloom.isa.config import DEFAULT, Config, load_config
from arrayloom.isa.image import build_memory, read_slot, write_inputs
from arrayloom.isa.ports import Output
from arrayloom.isa.program import Program, is_program

Array = NDArray[Any]


class Features(NamedTuple):
    """The tensor before the classifier, [N, H, W, C]: the network's integers, and dequantized to float32."""

    integers: Array
    values: NDArray[np.float32]


def load_program(source: str | Path | onnx.ModelProto | Program, config: str | Config | None = None) -> Program:
    """A program as it is, from a program file, or compiled from a model.

    With ``config``, a preset's name, a file or a ``Config``, a program must be for it, and a model is compiled for it
    instead of the default.
    """
    chosen = None if config is None else load_config(config)
    if isinstance(source, str | Path) and is_program(Path(source)):
        source = Program.load(Path(source))
    if isinstance(source, Program):
        if chosen is not None:
            source.require(chosen)
        return source
    return compile_model(source, config=chosen or DEFAULT)


class Session:
    """Runs a network on a device.

    ``source``: an ONNX model (path or proto), a program file, or a ``Program``. ``config``: a preset's name or a
    ``Config``; without, the device's, a program's own, or the default. ``backend``: ``rtl`` or ``emulator``. One thread
    at a time: a second one gets ``SessionBusyError``.
    """

    def __init__(self, source: str | Path | onnx.ModelProto | Program, config: str | Config | None = None,
                 backend: str = "rtl", device: Device | None = None) -> None:
        if config is None and device is not None:
            config = device.config
        self.program = load_program(source, config)
        self.config = self.program.configuration
        self.device = device or open_device(backend, self.config)
        self._report: RunReport | None = None
        self._busy = threading.Lock()

    @property
    def report(self) -> RunReport:
        """What the last run cost; raises ``DeviceError`` before the first."""
        if self._report is None:
            raise DeviceError("this session has not run yet, so it has no report: call run, score or features first")
        return self._report

    def run(self, inputs: Mapping[str, Array], progress: Progress | None = None) -> dict[str, Array]:
        """Model inputs by name, each [N, ...] as the model takes them, to model outputs by name, [N, ...].

        Images of a batch run one after the other; ``report`` then holds their sum.
        """
        results = self._execute(inputs, self.program.outputs, progress)
        return {port.name: apply_tail(results[port.name], port) for port in self.program.outputs}

    def score(self, inputs: Mapping[str, Array], progress: Progress | None = None) -> tuple[dict[str, Array], Features]:
        """What ``run`` and ``features`` give, from one run."""
        port = self._feature_port()
        results = self._execute(inputs, [*self.program.outputs, port], progress)
        outputs = {output.name: apply_tail(results[output.name], output) for output in self.program.outputs}
        return outputs, _features(results[port.name], port)

    def features(self, inputs: Mapping[str, Array]) -> Features:
        """The tensor before the classifier; raises ``DeviceError`` when no matrix product ends the network."""
        port = self._feature_port()
        return _features(self._execute(inputs, [port], None)[port.name], port)

    def _feature_port(self) -> Output:
        if self.program.features is None:
            raise DeviceError(f"model {self.program.model}: it has no features, since no classifier ends it")
        return self.program.features

    def _execute(self, inputs: Mapping[str, Array], ports: list[Output], progress: Progress | None) -> dict[str, Array]:
        """[N, C, H, W] integers by output name."""
        if not self._busy.acquire(blocking=False):
            raise SessionBusyError("this session is running in another thread; give each thread a session of its own")
        try:
            integers = collect(dict(inputs), self.program.inputs)
            count = len(next(iter(integers.values())))
            images = [{name: values[i] for name, values in integers.items()} for i in range(count)]
            runs = [self._run_one(image, ports, progress) for image in images]
            self._report = total([report for _, report in runs])
            return {port.name: np.stack([results[port.name] for results, _ in runs]) for port in ports}
        finally:
            self._busy.release()

    def _run_one(self, image: dict[str, Array], ports: list[Output],
                 progress: Progress | None) -> tuple[dict[str, Array], RunReport]:
        memory = build_memory(self.program)
        write_inputs(memory, self.program, image)
        report = self.device.execute(self.program, memory, progress)
        return {port.name: read_slot(memory, port.slot) for port in ports}, report

    def close(self) -> None:
        self.device.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()


def _features(integers: Array, port: Output) -> Features:
    def channels_last(values: Array) -> Array:
        return np.ascontiguousarray(values.transpose(0, 2, 3, 1))

    return Features(channels_last(integers), channels_last(apply_tail(integers, port).reshape(integers.shape)))
