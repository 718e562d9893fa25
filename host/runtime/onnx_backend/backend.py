"""What ONNX asks of a backend: models prepared for a device, and run there."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx.backend.base import Backend, BackendRep

from arrayloom.compiler import compile_model
from arrayloom.compiler.errors import CompileError
from arrayloom.host.runtime.backends import open_device
from arrayloom.host.runtime.device import Device
from arrayloom.host.runtime.session import Session
from arrayloom.isa.config import DEFAULT, load_config

Array = NDArray[Any]

DEVICES = {"CPU": "emulator", "RTL": "rtl"}

ACTIVATIONS: dict[str, tuple[int, ...]] = {"QLinearAdd": (0, 3), "QLinearMul": (0, 3), "Add": (0, 1), "Mul": (0, 1)}
"""Positions of the operands that the accelerator computes on; all others are weights, scales, bounds and amounts."""
CONCATENATIONS = {"QLinearConcat": range(2, 1000, 3), "Concat": range(1000)}
FIRST: tuple[int, ...] = (0,)


class Prepared(BackendRep):
    """A model that is ready to run on a device.

    Weights, scales and zero points that are inputs of the model are compiled in with the values of the first run; other
    values compile it anew.
    """

    def __init__(self, model: onnx.ModelProto, device: Device) -> None:
        self._model, self._device = model, device
        self._parameters = parameters(model)
        self._frozen: dict[str, Array] = {}
        self._session: Session | None = None
        if not self._parameters:
            self._compile({})

    def run(self, inputs: Sequence[Any] | Mapping[str, Any], **_: Any) -> tuple[Array, ...]:
        """Inputs in the order of the model's, or by name, to its outputs in order; each [N, ...].

        Raises:
            CompileError: the model cannot be compiled with these values.
            InputError: an input is missing, unknown, or has another shape or dtype than the model says.
        """
        given = dict(inputs) if isinstance(inputs, Mapping) else dict(zip(self._names(), inputs, strict=True))
        frozen = {name: np.asarray(given.pop(name)) for name in self._parameters}
        if self._session is None or not _equal(frozen, self._frozen):
            self._compile(frozen)
        assert self._session is not None
        outputs = self._session.run({name: np.asarray(value) for name, value in given.items()})
        return tuple(outputs[value.name] for value in self._model.graph.output)

    def _names(self) -> list[str]:
        constant = {tensor.name for tensor in self._model.graph.initializer}
        return [value.name for value in self._model.graph.input if value.name not in constant]

    def _compile(self, frozen: dict[str, Array]) -> None:
        program = compile_model(freeze(self._model, frozen), self._device.config)
        self._session = Session(program, self._device.config, device=self._device)
        self._frozen = frozen


class ArrayloomBackend(Backend):
    """Runs quantized ONNX models on the accelerator, emulated or simulated."""

    @classmethod
    def is_compatible(cls, model: onnx.ModelProto, device: str = "CPU", **more: Any) -> bool:
        """Whether the model compiles; always true where that depends on values given when it runs."""
        try:
            cls.prepare(model, device, **more)
        except CompileError:
            return False
        return cls.supports_device(device)

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", config: str = DEFAULT, **_: Any) -> Prepared:
        """The model compiled for a configuration (preset or TOML file) on a device, ``CPU`` or ``RTL``.

        Raises:
            CompileError: with every node that the accelerator cannot compute.
        """
        return Prepared(model, _device(device, config))

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
        """Runs one node as a model of its own, of operator set ``opset_version``, else of the newest."""
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


def parameters(model: onnx.ModelProto) -> list[str]:
    """Names of the inputs that no node computes on: they have to be frozen."""
    activations = {name for node in model.graph.node for name in _activations(node)}
    given = {tensor.name for tensor in model.graph.initializer}
    return [value.name for value in model.graph.input if value.name not in activations | given]


def freeze(model: onnx.ModelProto, values: Mapping[str, Array]) -> onnx.ModelProto:
    """The model with those of its inputs that ``values`` names as initializers instead."""
    frozen = onnx.ModelProto()
    frozen.CopyFrom(model)
    kept = [value for value in frozen.graph.input if value.name not in values]
    del frozen.graph.input[:]
    frozen.graph.input.extend(kept)
    frozen.graph.initializer.extend(onnx.numpy_helper.from_array(np.asarray(v), name) for name, v in values.items())
    return frozen


def _activations(node: onnx.NodeProto) -> list[str]:
    places = CONCATENATIONS.get(node.op_type) or ACTIVATIONS.get(node.op_type, FIRST)
    return [name for place, name in enumerate(node.input) if place in places]
