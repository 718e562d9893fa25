"""Comparison with ONNX Runtime at every tensor of the integer graph.

The emulator is compared with ONNX Runtime tensor by tensor, also those that never leave the POST unit's pipeline; the
RTL is compared with the emulator at every word that the POST unit writes, and with ONNX Runtime at the outputs.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from arrayloom.compiler import compile_graph
from arrayloom.compiler.errors import SessionError
from arrayloom.compiler.frontend import ImportedModel, import_model
from arrayloom.compiler.frontend.options import DEFAULT_OPTIONS, ImportOptions
from arrayloom.compiler.frontend.runtime import Session
from arrayloom.host.runtime.backends import EmulatorDevice, open_device
from arrayloom.host.runtime.boundary import apply_tail, collect, device_inputs
from arrayloom.host.runtime.device import Device
from arrayloom.host.runtime.host_parts import HostParts
from arrayloom.host.runtime.inputs import load_inputs
from arrayloom.host.runtime.model_reference import ModelReference
from arrayloom.host.runtime.reference import Reference
from arrayloom.host.runtime.report import Progress, RunReport, Stopwatch, total
from arrayloom.host.runtime.verdict import Verdict, compare_host, compare_tensor
from arrayloom.isa.config import DEFAULT, Config, load_config
from arrayloom.isa.image import build_memory, read_slot, write_inputs
from arrayloom.isa.program import Program
from arrayloom.sim.compare import compare_writes
from arrayloom.sim.emulator import Capture

Array = NDArray[Any]


def verify(model: str | Path | onnx.ModelProto, inputs: Mapping[str, Array], config: str | Config = DEFAULT,
           backend: str = "rtl", progress: Progress | None = None, options: ImportOptions = DEFAULT_OPTIONS) -> Verdict:
    """Compare every tensor of a quantized model with ONNX Runtime's, byte for byte.

    Parameters
    ----------
    model : str, Path or onnx.ModelProto
        A quantized ONNX model, QDQ or QOperator.
    inputs : mapping of str to ndarray
        One array for each input of the model, [N, ...] of the model's dtype; the N images run one after the other.
    config : str or Config, optional
        A preset's name, a TOML file, or a configuration.
    backend : {"rtl", "emulator"}, optional
        What executes the program.
    progress : callable, optional
        Called with a ``Snapshot`` now and then while an image runs.
    options : ImportOptions, optional
        How much of the network may lie on the host, and whether values may be rounded that the model has in float.

    Returns
    -------
    Verdict
        Over all images; ``equal`` when every byte is ONNX Runtime's.

    Raises
    ------
    CompileError
        The model cannot be compiled; the message names node, reason and remedy.
    ConfigError
        There is no such configuration.
    InputError
        An input is missing, unknown, empty, or of another shape or dtype than the model's.
    DeviceError
        There is no such backend, or a run failed.
    """
    imported = import_model(model, options)
    return _verify(imported, [inputs], load_config(config), lambda chosen: open_device(backend, chosen), progress)


def verify_files(model: str | Path | onnx.ModelProto, files: Sequence[Path], recipe: str | None = None,
                 config: str | Config = DEFAULT, backend: str = "rtl", progress: Progress | None = None,
                 opened: Callable[[Config], Device] | None = None, options: ImportOptions = DEFAULT_OPTIONS) -> Verdict:
    """Compare every tensor of a quantized model with ONNX Runtime's on the images of all files.

    Parameters
    ----------
    model, config, backend, progress, options
        As for ``verify``.
    files : sequence of Path
        Images, ``.npy`` or ``.npz`` files, as ``load_inputs`` reads them.
    recipe : str, optional
        How images are preprocessed.
    opened : callable, optional
        Gives the device for the configuration instead of ``backend``; it is closed afterwards.

    Returns
    -------
    Verdict
        Over all images of all files.

    Raises
    ------
    CompileError, ConfigError, InputError, DeviceError
        As ``verify``; ``InputError`` for a file that cannot be read, too.
    ImageError, RecipeError
        An image cannot be decoded, or the recipe is unknown or does not fit the model.
    """
    chosen, imported = load_config(config), import_model(model, options)
    batches = [load_inputs(file, imported.graph.model_inputs, recipe) for file in files]
    return _verify(imported, batches, chosen, opened or (lambda config: open_device(backend, config)), progress)


def _verify(imported: ImportedModel, batches: Sequence[Mapping[str, Array]], config: Config,
            opened: Callable[[Config], Device], progress: Progress | None) -> Verdict:
    """The verdict over all images of all batches."""
    program = compile_graph(imported.graph, config)
    images = [image for batch in batches for image in _images(batch, program)]
    with closing(opened(config)) as device:
        verifier = Verifier(imported, program, device)
        verdict = verifier.verify(images[0], progress)
        for image in images[1:]:
            result = verifier.verify(image, progress)
            verdict = verdict.merge(result, total([verdict.report, result.report]))
    return verdict


def _images(batch: Mapping[str, Array], program: Program) -> list[dict[str, Array]]:
    """The images of a batch, [1, ...] each, once all of it is known to fit the model; at least one."""
    known = collect(batch, program.model_inputs)
    count = len(next(iter(known.values())))
    return [{name: values[index:index + 1] for name, values in known.items()} for index in range(count)]


class Verifier:
    """Checks a compiled model on a device, one image a call; ``program`` was compiled from the imported ``model``."""

    def __init__(self, model: ImportedModel, program: Program, device: Device) -> None:
        self.program, self.device = program, device
        self.reference = ModelReference(model)
        self.host = HostParts(program.host)
        self.original = Reference(model.original) if model.is_lowered else None
        self._given = model.original

    def verify(self, inputs: Mapping[str, Array], progress: Progress | None = None) -> Verdict:
        """``inputs``: model inputs by name, [1, ...]."""
        expected = self.reference.run_all(inputs)
        clock = Stopwatch()
        with clock:
            (given,) = self.host.before(collect(inputs, self.program.model_inputs))
        integers = {name: values[0] for name, values in device_inputs(given, self.program.inputs).items()}
        golden = EmulatorDevice(self.device.config, record=True)
        memory = build_memory(self.program)
        write_inputs(memory, self.program, integers)
        report = golden.execute(self.program, memory, progress if self.device.name == "emulator" else None)
        verdict = self._compare_tensors(golden.capture(), memory, expected.integer, report)
        if self.device.name != "emulator":
            self._compare_device(golden.capture(), integers, expected.integer, verdict, progress)
        with clock:
            values = self.host.tail(given | verdict.outputs)
        for name, wanted in itertools.chain.from_iterable(part.items() for part in expected.host.values()):
            compare_host(verdict, name, wanted, values[name])
        verdict.outputs = {port.name: values[port.name] for port in self.program.model_outputs}
        verdict.report = verdict.report.with_host(clock.seconds)
        self._compare_original(inputs, verdict)
        note = self.reference.saturation_note()
        verdict.notes = [*self.program.notes, *([note] if note else [])]
        verdict.notices = list(self.program.notices)
        verdict.host, verdict.inserted_roundings = self.program.host, list(self.program.inserted_roundings)
        return verdict

    def _compare_tensors(self, capture: Capture, memory: Array, expected: dict[str, Array],
                         report: RunReport) -> Verdict:
        verdict = Verdict(0, 0, 0, None, report, {})
        for name in self.program.layouts:
            tensor = capture.tensor(self.program, name)
            if tensor is not None and name in expected:
                verdict.tensors_compared += 1
                compare_tensor(verdict, name, expected[name], tensor)
        self._compare_outputs(memory, expected, verdict)
        return verdict

    def _compare_outputs(self, memory: Array, expected: dict[str, Array], verdict: Verdict) -> None:
        """The integers that the device stored, and its outputs after the host's steps."""
        for port in self.program.outputs:
            values = read_slot(memory, port.slot)
            if port.slot.tensor in expected:
                compare_tensor(verdict, port.slot.tensor, expected[port.slot.tensor], values)
            verdict.outputs[port.name] = apply_tail(values[None], port)

    def _compare_device(self, capture: Capture, integers: dict[str, Array], expected: dict[str, Array],
                        verdict: Verdict, progress: Progress | None) -> None:
        memory = build_memory(self.program)
        write_inputs(memory, self.program, integers)
        verdict.report = self.device.execute(self.program, memory, progress)
        comparison = compare_writes(self.program, capture, *self.device.trace())
        verdict.bytes_differing += comparison.bytes_differing
        if comparison.first and not verdict.first_difference:
            verdict.first_difference = comparison.first.to_json()
        self._compare_outputs(memory, expected, verdict)

    def _run_original(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The model as given; node by node where what ONNX Runtime fuses of it fails, as scales per channel do."""
        assert self.original is not None
        try:
            return self.original.run(inputs)
        except SessionError:
            return Session(self._given, optimize=False).run(inputs)

    def _compare_original(self, inputs: Mapping[str, Array], verdict: Verdict) -> None:
        if self.original is None:
            return
        name = self.program.model_outputs[0].name
        wanted = self._run_original(inputs)[name].astype(np.float64)
        got = verdict.outputs[name].astype(np.float64)
        if wanted.shape != got.shape or not wanted.size:    # such as a number of boxes that the picture decides
            verdict.original_top1_equal = wanted.shape == got.shape
            verdict.original_max_abs_error = 0.0 if wanted.shape == got.shape else None
            return
        verdict.original_top1_equal = bool(wanted.reshape(-1).argmax() == got.reshape(-1).argmax())
        verdict.original_max_abs_error = float(np.abs(wanted - got).max())
