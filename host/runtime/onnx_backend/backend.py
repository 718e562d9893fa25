"""What ONNX asks of a backend."""

from collections.abc import Sequence
from typing import Any

import onnx
from onnx.backend.base import Backend

from arrayloom.compiler.errors import CompileError
from arrayloom.host.runtime.device import Device, open_device
from arrayloom.host.runtime.onnx_backend.prepared import Prepared
from arrayloom.isa.config import DEFAULT, load_config

DEVICES = {"CPU": "emulator", "RTL": "rtl"}


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
        """Whether a device of that name exists: ``CPU`` or ``RTL``, what follows a colon left out."""
        return device.split(":")[0] in DEVICES


def _device(name: str, config: str) -> Device:
    kind = DEVICES.get(name.split(":")[0])
    if kind is None:
        raise CompileError(f"device {name!r}: unknown; known are {', '.join(DEVICES)}")
    return open_device(kind, load_config(config))
