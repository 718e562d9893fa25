"""Comparison with ONNX Runtime at every tensor of the integer graph.

The emulator is compared with ONNX Runtime tensor by tensor, also those that never leave the POST unit's pipeline; the
RTL is compared with the emulator at every word that the POST unit writes, and with ONNX Runtime at the outputs.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from arrayloom.compiler import compile_graph
from arrayloom.compiler.frontend import ImportedModel, import_model
from arrayloom.host.runtime.backends import EmulatorDevice, open_device
from arrayloom.host.runtime.boundary import apply_tail, collect
from arrayloom.host.runtime.device import Device
from arrayloom.host.runtime.inputs import load_inputs
from arrayloom.host.runtime.reference import Reference
from arrayloom.host.runtime.report import Progress, RunReport, total
from arrayloom.isa.config import DEFAULT, Config, load_config
from arrayloom.isa.image import build_memory, read_slot, write_inputs
from arrayloom.isa.program import Program
from arrayloom.sim.compare import compare_writes
from arrayloom.sim.emulator import Capture

Array = NDArray[Any]


@dataclass
class Verdict:
    """What a comparison with ONNX Runtime found, over one image or several.

    Attributes
    ----------
    tensors_compared : int
        Tensors of the integer graph that were compared, for each image.
    bytes_compared, bytes_differing : int
        Sums over all images.
    first_difference : dict or None
        What differed first: ``tensor``, ``coordinate``, ``expected`` and ``got``; None when nothing did.
    report : RunReport
        What the runs cost; of several images the sum.
    outputs : dict of ndarray
        The device's outputs for the last image by name, each [1, ...].
    original_top1_equal : bool or None
        Whether the first output has its largest value where ONNX Runtime has it on the model as given, for every image.
        None when the import lowered nothing.
    original_max_abs_error : float or None
        The largest difference of the first output from that of the model as given. None when the import lowered nothing.
    notes, notices : list of str
        The program's.
    """

    tensors_compared: int
    bytes_compared: int
    bytes_differing: int
    first_difference: dict[str, Any] | None
    report: RunReport
    outputs: dict[str, Array]
    original_top1_equal: bool | None = None
    original_max_abs_error: float | None = None
    notes: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def merge(self, other: "Verdict", report: RunReport) -> "Verdict":
        """This verdict and that of a further image."""
        equal, error = self.original_top1_equal, self.original_max_abs_error
        if equal is not None and other.original_top1_equal is not None:
            equal = equal and other.original_top1_equal
            error = max(error or 0.0, other.original_max_abs_error or 0.0)
        return Verdict(self.tensors_compared, self.bytes_compared + other.bytes_compared,
                       self.bytes_differing + other.bytes_differing, self.first_difference or other.first_difference,
                       report, other.outputs, equal, error, self.notes, self.notices)


def verify(model: str | Path | onnx.ModelProto, inputs: Mapping[str, Array], config: str | Config = DEFAULT,
           backend: str = "rtl", progress: Progress | None = None) -> Verdict:
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

    Returns
    -------
    Verdict
        Over all images; ``bytes_differing`` is 0 when every byte is ONNX Runtime's.

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
    return _verify(import_model(model), [inputs], load_config(config), lambda chosen: open_device(backend, chosen), progress)


def verify_files(model: str | Path | onnx.ModelProto, files: Sequence[Path], recipe: str | None = None,
                 config: str | Config = DEFAULT, backend: str = "rtl", progress: Progress | None = None,
                 opened: Callable[[Config], Device] | None = None) -> Verdict:
    """Compare every tensor of a quantized model with ONNX Runtime's on the images of all files.

    Parameters
    ----------
    model, config, backend, progress
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
    chosen, imported = load_config(config), import_model(model)
    batches = [load_inputs(file, imported.graph.inputs, recipe) for file in files]
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
    count = len(next(iter(collect(dict(batch), program.inputs).values())))
    return [{name: np.asarray(values)[index:index + 1] for name, values in batch.items()} for index in range(count)]


class Verifier:
    """Checks a compiled model on a device, one image a call; ``program`` was compiled from the imported ``model``."""

    def __init__(self, model: ImportedModel, program: Program, device: Device) -> None:
        self.program, self.device = program, device
        self.reference = Reference(model.lowered)
        self.original = Reference(model.original) if model.is_lowered else None

    def verify(self, inputs: Mapping[str, Array], progress: Progress | None = None) -> Verdict:
        """``inputs``: model inputs by name, [1, ...]."""
        expected = self.reference.run_all(inputs)
        integers = {name: values[0] for name, values in collect(dict(inputs), self.program.inputs).items()}
        golden = EmulatorDevice(self.device.config, record=True)
        memory = build_memory(self.program)
        write_inputs(memory, self.program, integers)
        report = golden.execute(self.program, memory, progress if self.device.name == "emulator" else None)
        verdict = self._compare_tensors(golden.capture(), memory, expected, report)
        if self.device.name != "emulator":
            self._compare_device(golden.capture(), integers, expected, verdict, progress)
        self._compare_original(inputs, verdict)
        verdict.notes, verdict.notices = list(self.program.notes), list(self.program.notices)
        return verdict

    def _compare_tensors(self, capture: Capture, memory: Array, expected: dict[str, Array],
                         report: RunReport) -> Verdict:
        verdict = Verdict(0, 0, 0, None, report, {})
        for name in self.program.layouts:
            tensor = capture.tensor(self.program, name)
            if tensor is not None and name in expected:
                verdict.tensors_compared += 1
                _compare(verdict, name, expected[name], tensor)
        self._compare_outputs(memory, expected, verdict)
        return verdict

    def _compare_outputs(self, memory: Array, expected: dict[str, Array], verdict: Verdict) -> None:
        """The integers that the device stored, and the model's outputs after the host's steps."""
        for port in self.program.outputs:
            values = read_slot(memory, port.slot)
            if port.slot.tensor in expected:
                _compare(verdict, port.slot.tensor, expected[port.slot.tensor], values)
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

    def _compare_original(self, inputs: Mapping[str, Array], verdict: Verdict) -> None:
        if self.original is None:
            return
        name = self.program.outputs[0].name
        wanted = self.original.run(inputs)[name].astype(np.float64)
        got = verdict.outputs[name].astype(np.float64)
        verdict.original_top1_equal = bool(wanted.reshape(-1).argmax() == got.reshape(-1).argmax())
        verdict.original_max_abs_error = float(np.abs(wanted - got).max())


def _compare(verdict: Verdict, name: str, expected: Array, got: Array) -> None:
    """Adds one tensor to the verdict; ``expected`` as ONNX Runtime gives it, ``got`` [C, H, W]."""
    wanted = expected.reshape(got.shape)
    verdict.bytes_compared += got.size
    unequal = wanted != got
    count = int(unequal.sum())
    verdict.bytes_differing += count
    if count and verdict.first_difference is None:
        where = tuple(int(i) for i in np.argwhere(unequal)[0])
        verdict.first_difference = {"tensor": name, "coordinate": where, "expected": int(wanted[where]),
                                    "got": int(got[where])}
