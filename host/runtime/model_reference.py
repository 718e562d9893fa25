"""A whole network in ONNX Runtime: the host's head, the integer model and the host's tail, one after the other."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import onnx
from numpy.typing import NDArray

from arrayloom.compiler.errors import SessionError
from arrayloom.compiler.frontend import ImportedModel
from arrayloom.compiler.frontend.runtime import Session
from arrayloom.host.runtime.host_parts import Values, join_images, run_part
from arrayloom.host.runtime.reference import Reference
from arrayloom.isa.host_parts import HostPart

Array = NDArray[Any]


@dataclass(frozen=True)
class ReferenceValues:
    """ONNX Runtime's results for one image, by name.

    Attributes
    ----------
    integer
        Every 8-bit value and all outputs of the integer model.
    host
        Results of head and tail, by `head` and `tail`.
    original
        The outputs of the original model; None if the import lowered nothing, or if not requested.
    """

    integer: Values
    host: Mapping[str, Values]
    original: Values | None


class ModelReference:
    """The reference of an imported model. It shares no code with the execution of programs.

    Raises
    ------
    SessionError
        ONNX Runtime refuses a part of the model, or an input to it.
    """

    def __init__(self, model: ImportedModel) -> None:
        host = model.graph.host
        self._wanted = model.graph.model_outputs
        self._integer = Reference(model.lowered)
        self._head, self._tail = _reference(host.head), _reference(host.tail)
        self._given = model.original if model.is_lowered else None

    def saturation_note(self) -> str | None:
        """`Reference.saturation_note` of the integer model."""
        return self._integer.saturation_note()

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The model's outputs by name for a batch, [N, ...]; raises `InputError` if they have no common array."""
        if self._head is None and self._tail is None:
            values = dict(inputs) | run_part(self._integer, dict(inputs))
            return {port.name: values[port.name] for port in self._wanted}
        count = len(next(iter(inputs.values())))
        images = [self._run_one({name: values[i:i + 1] for name, values in inputs.items()}) for i in range(count)]
        return join_images(images, self._wanted)

    def run_all(self, inputs: Mapping[str, Array], original: bool = False) -> ReferenceValues:
        """Every value that can be compared, for one image, [1, ...] by name; with ``original`` also those of the original
        model."""
        head = run_part(self._head, dict(inputs))
        given = dict(inputs) | head
        integer = self._integer.run_all({name: given[name] for name in self._integer.inputs})
        tail = run_part(self._tail, given | integer)
        return ReferenceValues(integer, {"head": head, "tail": tail}, self._run_original(inputs) if original else None)

    @cached_property
    def _original(self) -> Reference:
        assert self._given is not None
        return Reference(self._given)

    def _run_original(self, inputs: Mapping[str, Array]) -> Values | None:
        """The outputs of the original model; run node by node if ONNX Runtime's fused form fails, as with scales per
        channel."""
        if self._given is None:
            return None
        try:
            return self._original.run(inputs)
        except SessionError:
            return Session(self._given, optimize=False).run(inputs)

    def _run_one(self, values: Values) -> Values:
        for part in (self._head, self._integer, self._tail):
            values = values | run_part(part, values)
        return values


def _reference(part: HostPart | None) -> Reference | None:
    return Reference(onnx.ModelProto.FromString(part.model)) if part else None
