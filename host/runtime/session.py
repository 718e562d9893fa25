"""A network ready to run on a device."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
import onnx
from numpy.typing import NDArray

from arrayloom.compiler import compile_model
from arrayloom.compiler.frontend.options import DEFAULT_OPTIONS, HostPolicy, ImportOptions
from arrayloom.host.runtime.backends import open_device
from arrayloom.host.runtime.boundary import apply_tail, collect, device_inputs
from arrayloom.host.runtime.device import BatchDevice, Device
from arrayloom.host.runtime.errors import DeviceError, InputError, SessionBusyError
from arrayloom.host.runtime.host_parts import HostParts, Values
from arrayloom.host.runtime.report import Progress, RunReport, Stopwatch, total
from arrayloom.isa.config import DEFAULT, Config, load_config
from arrayloom.isa.host_parts import ModelPort
from arrayloom.isa.image import build_memory, read_slot, write_inputs
from arrayloom.isa.ports import Output
from arrayloom.isa.program import Program, is_program

Array = NDArray[Any]


class Features(NamedTuple):
    """The tensor before the classifier, [N, H, W, C]: the network's integers, and their values dequantized to float32."""

    integers: Array
    values: NDArray[np.float32]


def load_program(source: str | Path | onnx.ModelProto | Program, config: str | Config | None = None,
                 options: ImportOptions = DEFAULT_OPTIONS) -> Program:
    """Loads a program: given directly, from a program file, or compiled from a model.

    With ``config``, a preset's name, a file or a ``Config``, a program must be for it, and a model is compiled for it
    instead of for the default. ``options``: how a model is compiled; raises ``InputError`` if they are given for a program.
    """
    chosen = None if config is None else load_config(config)
    if isinstance(source, str | Path) and is_program(Path(source)):
        source = Program.load(Path(source))
    if isinstance(source, Program):
        if options != DEFAULT_OPTIONS:
            raise InputError(f"program {source.model}: what the host computes and what is rounded was chosen when it was "
                             "compiled; leave these options out, or compile the model again with them")
        if chosen is not None:
            source.require(chosen)
        return source
    return compile_model(source, chosen or DEFAULT, options)


class Session:
    """Runs a network on a device.

    ``source``: an ONNX model (path or proto), a program file, or a ``Program``. ``config``: a preset's name or a
    ``Config``; default: the device's, a program's own, or the default. ``backend``: ``rtl``, ``emulator``, or ``board`` with
    the ``port`` of a board, such as ``/dev/ttyUSB0``. ``host``: how much of a model the host may compute in float at its
    beginning and end: ``none``, ``small`` (up to 1 % of the multiply-accumulates) or ``any``; ``insert_rounding``: whether
    float values between integer layers may be quantized. Both are for models, not for programs. One
    thread at a time: a second one gets ``SessionBusyError``.
    """

    def __init__(self, source: str | Path | onnx.ModelProto | Program, config: str | Config | None = None,
                 backend: str = "rtl", device: Device | None = None, host: str = HostPolicy.SMALL,
                 insert_rounding: bool = False, port: str | None = None) -> None:
        if config is None and device is not None:
            config = device.config
        self.program = load_program(source, config, ImportOptions(HostPolicy.of(host), insert_rounding))
        self.config = self.program.configuration
        self._host = HostParts(self.program.host)
        self.device = device or open_device(backend, self.config, port)
        self._report: RunReport | None = None
        self._busy = threading.Lock()

    @property
    def report(self) -> RunReport:
        """The cost of the last run; raises ``DeviceError`` before the first."""
        if self._report is None:
            raise DeviceError("this session has not run yet, so it has no report: call run, score or features first")
        return self._report

    def prepare(self) -> bool:
        """Does the work of the first run in advance; returns whether the images of a batch run together."""
        return isinstance(self.device, BatchDevice) and self.device.prepare(self.program)

    def run(self, inputs: Mapping[str, Array], progress: Progress | None = None) -> dict[str, Array]:
        """Runs model inputs by name, each [N, ...] as the model expects; returns model outputs by name, each [N, ...].

        Images of a batch run together on the emulator, and one after the other elsewhere; ``report`` holds their sum.
        """
        return self._execute(inputs, [], self.program.model_outputs, progress)[0]

    def score(self, inputs: Mapping[str, Array], progress: Progress | None = None) -> tuple[dict[str, Array], Features]:
        """The results of ``run`` and ``features`` from one run."""
        port = self._feature_port()
        outputs, results = self._execute(inputs, [port], self.program.model_outputs, progress)
        return outputs, _features(results[port.name], port)

    def features(self, inputs: Mapping[str, Array]) -> Features:
        """The tensor before the classifier; raises ``DeviceError`` if the network does not end with a matrix product."""
        port = self._feature_port()
        return _features(self._execute(inputs, [port], [], None)[1][port.name], port)

    def _feature_port(self) -> Output:
        if self.program.features is None:
            why = "since no classifier ends it" + ", or the host computes it in float" * bool(self.program.host.tail)
            raise DeviceError(f"model {self.program.model}: it has no features, {why}")
        return self.program.features

    def _execute(self, inputs: Mapping[str, Array], more: list[Output], wanted: list[ModelPort],
                 progress: Progress | None) -> tuple[dict[str, Array], dict[str, Array]]:
        """The ``wanted`` model outputs by name, [N, ...], and the integers of the device's outputs and of
        ``more`` by name, [N, C, H, W]."""
        if not self._busy.acquire(blocking=False):
            raise SessionBusyError("this session is running in another thread; give each thread a session of its own")
        try:
            batch = collect(inputs, self.program.model_inputs)
            clock = Stopwatch()
            with clock:
                images = self._host.before(batch)
            results, report = self._run_all(self._integers(batch, images), [*self.program.outputs, *more], progress)
            outputs = {port.name: apply_tail(results[port.name], port) for port in self.program.outputs}
            with clock:
                found = self._host.after(images, outputs, wanted)
            self._report = report.with_host(clock.seconds)
            return found, results
        finally:
            self._busy.release()

    def _integers(self, batch: Mapping[str, Array], images: Sequence[Values]) -> dict[str, Array]:
        """The integers of the device's inputs by name, [N, ...]; ``images`` are those of the batch after the head."""
        if self.program.host.head is None:
            return device_inputs(batch, self.program.inputs)
        each = [device_inputs(image, self.program.inputs) for image in images]
        return {port.name: np.concatenate([image[port.name] for image in each]) for port in self.program.inputs}

    def _run_all(self, integers: Mapping[str, Array], ports: list[Output],
                 progress: Progress | None) -> tuple[dict[str, Array], RunReport]:
        """The integers of ``ports`` by name, [N, C, H, W], and the cost of the runs."""
        if isinstance(self.device, BatchDevice) and self.device.prepare(self.program):
            return self.device.run_batch(self.program, integers, ports, progress)
        count = len(next(iter(integers.values())))
        runs = [self._run_one({name: values[index] for name, values in integers.items()}, ports, progress)
                for index in range(count)]
        stacked = {port.name: np.stack([results[port.name] for results, _ in runs]) for port in ports}
        return stacked, total([report for _, report in runs])

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
