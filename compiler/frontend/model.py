"""A model with facts about its values: producers and consumers, shapes, dtypes and constants."""

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import onnx

from arrayloom.compiler.errors import ModelError, SessionError
from arrayloom.compiler.frontend.opsets import ONNX_DOMAINS
from arrayloom.compiler.frontend.origin import described
from arrayloom.compiler.frontend.runtime import Array, Session, model_inputs, with_outputs

_RANDOM = ("RandomNormal", "RandomUniform")


class Model:
    """An ONNX model with facts about its values, which are found by running it on zeros in ONNX Runtime.

    Attributes
    ----------
    proto
        The model itself.
    nodes
        The nodes on which an output depends, in topological order.
    constants
        Values that do not depend on the inputs' elements: initializers, values computed from them, and values computed from
        shapes, with a batch of 1.
    shapes
        Shape of every value, with a batch of 1.
    dtypes
        Dtype of every value.

    Raises
    ------
    SessionError
        ONNX Runtime cannot run the model.
    ModelError
        A value consists of 8-bit floats.
    """

    def __init__(self, proto: onnx.ModelProto) -> None:
        self.proto = proto
        self.inputs = model_inputs(proto.graph)
        self.outputs = [value.name for value in proto.graph.output]
        self.producers = {name: node for node in proto.graph.node for name in node.output if name}
        self.nodes = self._needed()
        self.consumers: dict[str, list[onnx.NodeProto]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.input):
                self.consumers.setdefault(name, []).append(node)
        self.constants = {t.name: onnx.numpy_helper.to_array(t) for t in proto.graph.initializer}
        self._session: Session
        self._find_values()

    @cached_property
    def opset(self) -> int:
        """Version of ONNX's own operator set."""
        return max(entry.version for entry in self.proto.opset_import if entry.domain in ONNX_DOMAINS)

    def is_constant(self, name: str) -> bool:
        """Whether a value does not depend on the inputs' elements."""
        return name in self.constants

    def constant(self, node: onnx.NodeProto, index: int) -> Array | None:
        """Returns the constant at an input of `node`, or None if the input is left out."""
        if len(node.input) <= index or not node.input[index]:
            return None
        return self.constants[node.input[index]]

    def only_reader(self, value: str) -> onnx.NodeProto | None:
        """Returns the only node that reads a value, or None if there are several or none, or the value is an output."""
        readers = self.consumers.get(value, [])
        return readers[0] if len(readers) == 1 and value not in self.outputs else None

    @cached_property
    def places(self) -> dict[int, int]:
        """The index in `nodes` of each node, by its `id`."""
        return {id(node): place for place, node in enumerate(self.nodes)}

    def _needed(self) -> list[onnx.NodeProto]:
        wanted = set(self.outputs)
        needed = []
        for node in reversed(self.proto.graph.node):
            if wanted.intersection(node.output):
                needed.append(node)
                wanted.update(node.input)
        return needed[::-1]

    def _find_values(self) -> None:
        names = [name for node in self.nodes for name in node.output if name]
        self._session = Session(with_outputs(self.proto, names), optimize=False)
        self._check_types(self._session)
        values = self._plain_values(1)
        for node in self.nodes:
            self._find_constants(node, values)
        self.dtypes = {name: value.dtype for name, value in (self.constants | values | self._zeros(1)).items()}
        self.shapes = {name: value.shape for name, value in (self.constants | values | self._zeros(1)).items()}

    def _plain_values(self, batch: int) -> dict[str, Array]:
        """Returns all values for images of zeros, or of ones if the model would divide integers by zero."""
        try:
            return self._session.run(self._zeros(batch))
        except SessionError:
            if not any(node.op_type in ("Div", "Mod") for node in self.nodes):
                raise
        return self._session.run({name: np.ones_like(value) for name, value in self._zeros(batch).items()})

    def require_batch(self) -> None:
        """Raises `ModelError` if the first dimension of some value is not the batch."""
        self._check_batch(self.shapes, 1)
        if self.open_batch:
            values = self._plain_values(2)
            self._check_batch({name: value.shape for name, value in values.items()}, 2)

    def _check_types(self, session: Session) -> None:
        """Refuses 8-bit and 4-bit floats, which ONNX Runtime would return as if they were integers."""
        for node in self.nodes:
            for name in node.output:
                if "float8" in session.types.get(name, "") or "float4" in session.types.get(name, ""):
                    raise ModelError(
                        f"{described(node)} has values of type {session.types[name]}; "
                        "quantize to uint8 or int8 instead"
                    )

    def _find_constants(self, node: onnx.NodeProto, values: dict[str, Array]) -> None:
        settled = node.op_type in ("Shape", "Size") or all(not name or name in self.constants for name in node.input)
        if settled and not node.op_type.startswith(_RANDOM):
            self.constants.update({name: values[name] for name in node.output if name})

    @property
    def open_batch(self) -> bool:
        """Whether the first dimension of the inputs is open."""
        return self.inputs[0].type.tensor_type.shape.dim[0].dim_value != 1

    def _zeros(self, batch: int) -> dict[str, Array]:
        zeros = {}
        for value in self.inputs:
            tensor = value.type.tensor_type
            extents = [dim.dim_value for dim in tensor.shape.dim]
            dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
            zeros[value.name] = np.zeros([batch, *extents[1:]], dtype)
        return zeros

    def _check_batch(self, shapes: Mapping[str, tuple[int, ...]], batch: int) -> None:
        for node in self.nodes:
            for name in node.output:
                if name and name not in self.constants and shapes[name][:1] != (batch,):
                    raise ModelError(
                        f"{described(node)} has a result of shape {shapes[name]} at batch {batch}: "
                        "the batch must stay the first dimension of every value; export the network that way"
                    )
