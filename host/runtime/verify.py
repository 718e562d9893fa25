"""Comparison with ONNX Runtime at every tensor of the integer graph.

The emulator is compared with ONNX Runtime tensor by tensor, including tensors that never leave the POST unit's pipeline. The
RTL is compared with the emulator at every word that the POST unit writes, a board at every byte of its memory, and both are
compared with ONNX Runtime at the outputs.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import onnx
from numpy.typing import NDArray

from arrayloom.compiler import compile_graph
from arrayloom.compiler.frontend import ImportedModel, import_model
from arrayloom.compiler.frontend.options import DEFAULT_OPTIONS, ImportOptions
from arrayloom.host.runtime.backends import EmulatorDevice, open_device
from arrayloom.host.runtime.boundary import collect
from arrayloom.host.runtime.device import Device
from arrayloom.host.runtime.examine import Examiner
from arrayloom.host.runtime.inputs import load_inputs
from arrayloom.host.runtime.model_reference import ModelReference
from arrayloom.host.runtime.report import Progress, total
from arrayloom.host.runtime.verdict import Verdict, add_comparison, compare_memories
from arrayloom.isa.config import DEFAULT, Config, load_config
from arrayloom.isa.host_parts import ModelPort
from arrayloom.isa.program import Program
from arrayloom.sim.compare import compare_writes

Array = NDArray[Any]


def verify(model: str | Path | onnx.ModelProto, inputs: Mapping[str, Array], config: str | Config = DEFAULT,
           backend: str = "rtl", progress: Progress | None = None, options: ImportOptions = DEFAULT_OPTIONS,
           port: str | None = None) -> Verdict:
    """Compare every tensor of a quantized model with ONNX Runtime's, byte for byte.

    Parameters
    ----------
    model : str, Path or onnx.ModelProto
        A quantized ONNX model, QDQ or QOperator.
    inputs : mapping of str to ndarray
        One array for each input of the model, [N, ...] of the model's dtype; the N images run one after the other.
    config : str or Config, optional
        A preset's name, a TOML file, or a configuration.
    backend : {"rtl", "emulator", "board"}, optional
        The device that executes the program.
    progress : callable, optional
        Called with a ``Snapshot`` from time to time during a run.
    options : ImportOptions, optional
        How much of the network the host may compute, and whether float values may be rounded.
    port : str, optional
        Address of the backend ``board``, such as ``/dev/ttyUSB0``.

    Returns
    -------
    Verdict
        Over all images; ``equal`` if every byte equals ONNX Runtime's.

    Raises
    ------
    CompileError
        The model cannot be compiled; the message names node, reason and remedy.
    ConfigError
        There is no such configuration.
    InputError
        An input is missing, unknown, empty, or its shape or dtype is not the model's.
    DeviceError
        There is no such backend, or a run failed.
    """
    known = load_config(config)
    imported = import_model(model, options.of(known))
    return _verify(imported, [inputs], known, lambda chosen: open_device(backend, chosen, port), progress)


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
        Opens the device for the configuration, instead of ``backend``; it is closed afterwards.

    Returns
    -------
    Verdict
        Over all images of all files.

    Raises
    ------
    CompileError, ConfigError, InputError, DeviceError
        As for ``verify``; ``InputError`` also for a file that cannot be read.
    ImageError, RecipeError
        An image cannot be decoded, or the recipe is unknown or does not fit the model.
    """
    chosen = load_config(config)
    imported = import_model(model, options.of(chosen))
    batches = [load_inputs(file, imported.graph.model_inputs, recipe) for file in files]
    return _verify(imported, batches, chosen, opened or (lambda config: open_device(backend, config)), progress)


def _verify(imported: ImportedModel, batches: Sequence[Mapping[str, Array]], config: Config,
            opened: Callable[[Config], Device], progress: Progress | None) -> Verdict:
    """The verdict over all images of all batches."""
    program = compile_graph(imported.graph, config)
    images = [image for batch in batches for image in images_of(batch, program.model_inputs)]
    with closing(opened(config)) as device:
        verifier = Verifier(imported, program, device)
        verdict = verifier.verify(images[0], progress)
        for image in images[1:]:
            result = verifier.verify(image, progress)
            verdict = verdict.merge(result, total([verdict.report, result.report]))
    return verdict


def images_of(batch: Mapping[str, Array], ports: Sequence[ModelPort]) -> list[dict[str, Array]]:
    """The images of a batch, each [1, ...], after checking that the batch fits the model's inputs; at least one."""
    known = collect(batch, ports)
    count = len(next(iter(known.values())))
    return [{name: values[index:index + 1] for name, values in known.items()} for index in range(count)]


class Verifier:
    """Checks a compiled model on a device, one image per call; ``program`` was compiled from the imported ``model``."""

    def __init__(self, model: ImportedModel, program: Program, device: Device) -> None:
        self.program, self.device = program, device
        self.reference = ModelReference(model)
        self.examiner = Examiner(program)

    def verify(self, inputs: Mapping[str, Array], progress: Progress | None = None) -> Verdict:
        """``inputs``: model inputs by name, [1, ...]."""
        expected = self.reference.run_all(inputs, original=True)
        image = self.examiner.place(inputs)
        golden = EmulatorDevice(self.device.config, record=True)
        memory = self.examiner.memory(image)
        report = golden.execute(self.program, memory, progress if self.device.name == "emulator" else None)
        verdict = self.examiner.compare(golden.capture(), memory, expected, report)
        if self.device.name != "emulator":
            emulated, memory = memory, self.examiner.memory(image)
            verdict.report = self.device.execute(self.program, memory, progress)
            writes = self.device.trace()
            if writes is None:
                compare_memories(verdict, emulated, memory)
            else:
                add_comparison(verdict, compare_writes(self.program, golden.capture(), *writes))
            self.examiner.compare_outputs(verdict, memory, expected)
        self.examiner.finish(verdict, image, expected, self.reference.saturation_note())
        return verdict
