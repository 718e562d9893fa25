"""The interface of an ONNX backend: prepares models for a device and runs them there."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx.backend.base import Backend, BackendRep

from arrayloom.compiler import compile_graph
from arrayloom.compiler.errors import CompileError
from arrayloom.compiler.frontend.options import DEFAULT_OPTIONS, ImportOptions
from arrayloom.host.runtime.backends import open_device
from arrayloom.host.runtime.device import Device
from arrayloom.host.runtime.onnx_backend.importing import import_any
from arrayloom.host.runtime.onnx_backend.operands import freeze, parameters
from arrayloom.host.runtime.session import Session
from arrayloom.isa.config import DEFAULT, load_config

Array = NDArray[Any]

DEVICES = {"CPU": "emulator", "RTL": "rtl"}


class Prepared(BackendRep):
    """A model that is ready to run on a device.

    Weights, scales and zero points that are model inputs are compiled in with the values of the first run; other values
    cause a new compilation. A model whose first dimension is not a batch, such as a product of two matrices, gets
    a leading batch of one.
    """

    def __init__(self, model: onnx.ModelProto, device: Device, options: ImportOptions = DEFAULT_OPTIONS) -> None:
        self._model, self._device, self._options = model, device, options
        self._parameters = parameters(model)
        self._frozen: dict[str, Array] = {}
        self._session: Session | None = None
        self._leading = False
        if not self._parameters:
            self._compile({})

    def run(self, inputs: Sequence[Any] | Mapping[str, Any], **_: Any) -> tuple[Array, ...]:
        """Runs the model on inputs in order, or by name; returns its outputs in order, each [N, ...].

        Raises
        ------
        CompileError
            The model cannot be compiled with these values.
        InputError
            An input is missing, unknown, or its shape or dtype is not the model's.
        """
        given = dict(inputs) if isinstance(inputs, Mapping) else dict(zip(self._names(), inputs, strict=True))
        frozen = {name: np.asarray(given.pop(name)) for name in self._parameters}
        if self._session is None or not _equal(frozen, self._frozen):
            self._compile(frozen)
        assert self._session is not None
        values = {name: np.asarray(value) for name, value in given.items()}
        if not self._leading:
            outputs = self._session.run(values)
            return tuple(outputs[value.name] for value in self._model.graph.output)
        shapes = {port.name: (1, *port.shape) for port in self._session.program.model_inputs}
        outputs = self._session.run({name: value.reshape(shapes[name]) for name, value in values.items()})
        return tuple(outputs[value.name][0] for value in self._model.graph.output)

    def _names(self) -> list[str]:
        constant = {tensor.name for tensor in self._model.graph.initializer}
        return [value.name for value in self._model.graph.input if value.name not in constant]

    def _compile(self, frozen: dict[str, Array]) -> None:
        imported, self._leading = import_any(freeze(self._model, frozen), self._options)
        program = compile_graph(imported.graph, self._device.config)
        self._session = Session(program, self._device.config, device=self._device)
        self._frozen = frozen


class ArrayloomBackend(Backend):
    """Runs quantized ONNX models on the accelerator, emulated or simulated."""

    @classmethod
    def is_compatible(cls, model: onnx.ModelProto, device: str = "CPU", **more: Any) -> bool:
        """Whether the model compiles; always true if that depends on values given at run time."""
        try:
            cls.prepare(model, device, **more)
        except CompileError:
            return False
        return cls.supports_device(device)

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", config: str = DEFAULT,
                options: ImportOptions = DEFAULT_OPTIONS, **_: Any) -> Prepared:
        """The model compiled for a configuration (preset or TOML file) on a device, ``CPU`` or ``RTL``.

        ``options``: how much of it the host may compute in float, and whether values may be rounded.

        Raises
        ------
        CompileError
            With every node that the accelerator cannot compute.
        """
        return Prepared(model, _device(device, config), options)

    @classmethod
    def run_model(cls, model: onnx.ModelProto, inputs: Any, device: str = "CPU", **more: Any) -> tuple[Any, ...]:
        """Compiles the model and runs it once."""
        return cls.prepare(model, device, **more).run(inputs)

    @classmethod
    def run_node(
        cls,
        node: onnx.NodeProto,
        inputs: Any,
        device: str = "CPU",
        outputs_info: Sequence[tuple[Any, tuple[int, ...]]] | None = None,  # noqa: ARG003
        **more: Any,
    ) -> tuple[Any, ...]:
        """Runs one node as a separate model, with operator set ``opset_version`` or the newest."""
        version = more.pop("opset_version", None) or onnx.defs.onnx_opset_version()
        values = [onnx.numpy_helper.from_array(value) for value in inputs]
        declared = [
            onnx.helper.make_tensor_value_info(name, value.data_type, list(value.dims))
            for name, value in zip([name for name in node.input if name], values, strict=True)
        ]
        outputs = [onnx.ValueInfoProto(name=name) for name in node.output if name]
        graph = onnx.helper.make_graph([node], node.op_type, declared, outputs)
        opsets = [onnx.helper.make_opsetid("", version)]
        if node.domain:
            opsets.append(onnx.helper.make_opsetid(node.domain, 1))
        return cls.run_model(onnx.helper.make_model(graph, opset_imports=opsets), list(inputs), device, **more)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Whether a device of that name exists: ``CPU`` or ``RTL``; what follows a colon is ignored."""
        return device.split(":")[0] in DEVICES


def _device(name: str, config: str) -> Device:
    kind = DEVICES.get(name.split(":")[0])
    if kind is None:
        raise CompileError(f"device {name!r}: unknown; known are {', '.join(DEVICES)}")
    return open_device(kind, load_config(config))


def _equal(first: Mapping[str, Array], second: Mapping[str, Array]) -> bool:
    return first.keys() == second.keys() and all(np.array_equal(first[name], second[name]) for name in first)
