"""A model that is ready to run."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx.backend.base import BackendRep

from arrayloom.compiler import compile_model
from arrayloom.host.runtime.device import Device
from arrayloom.host.runtime.onnx_backend.freeze import freeze, parameters
from arrayloom.host.runtime.session import Session

Array = NDArray[Any]


class Prepared(BackendRep):
    """A model on a device.

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


def _equal(first: Mapping[str, Array], second: Mapping[str, Array]) -> bool:
    return first.keys() == second.keys() and all(np.array_equal(first[name], second[name]) for name in first)
