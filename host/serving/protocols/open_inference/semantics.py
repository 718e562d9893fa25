"""The parts of the Open Inference Protocol that gRPC and HTTP share: metadata, states, deadlines and classifications."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.serving.core.repository import parse_version
from arrayloom.host.serving.core.served_model import Model, Port
from arrayloom.host.serving.core.service import Service, State
from arrayloom.host.serving.errors import Kind, ServiceError
from arrayloom.host.serving.protocols.arrays import cut, strings
from arrayloom.host.serving.protocols.open_inference.tensors import datatype

Array = NDArray[Any]

PLATFORM = "arrayloom_program"
EXTENSIONS = ["binary_tensor_data", "classification", "model_configuration", "model_repository",
              "model_repository(unload_dependents)", "statistics"]
UNLOAD_DEPENDENTS = "unload_dependents"
STATES = {State.AVAILABLE: "READY", State.LOADING: "LOADING", State.START: "UNAVAILABLE",
          State.END: "UNAVAILABLE"}


def describe(port: Port) -> dict[str, Any]:
    """The metadata of a port."""
    return {"name": port.name, "datatype": datatype(port.dtype), "shape": list(port.batched)}


def is_ready(service: Service, model: Model) -> bool:
    return service.ready and service.state(model) is State.AVAILABLE


def index(service: Service, only_ready: bool) -> Iterator[dict[str, str]]:
    """The models of the repository with their states."""
    for model in service.repository:
        state = service.state(model)
        if state is State.AVAILABLE or not only_ready:
            reason = {State.AVAILABLE: "", State.END: "unloaded"}.get(state, "not on the device")
            yield {"name": model.name, "version": str(model.version), "state": STATES[state], "reason": reason}


def timeout(microseconds: Any, seconds: float | None) -> float | None:
    """The smaller of a request's ``timeout`` parameter, in microseconds, and the protocol's own limit."""
    if microseconds is None:
        return seconds
    if not isinstance(microseconds, int) or isinstance(microseconds, bool) or not 0 < microseconds < 1 << 63:
        raise ServiceError(Kind.INVALID, f"timeout {cut(microseconds)}: must be a whole number of microseconds, from 1 to "
                                         f"{(1 << 63) - 1}")
    return microseconds / 1e6 if seconds is None else min(seconds, microseconds / 1e6)


def find(service: Service, name: str, version: str) -> Model:
    """The loaded model of the name and version in a message or path; raises ``ServiceError``."""
    return service.find(name, parse_version(version))


def known(service: Service, name: str, version: str) -> Model:
    """The same, for queries about a model that need not be loaded."""
    return service.repository.find(name, parse_version(version))


def refuse_parameters(parameters: Iterable[str]) -> None:
    """Raises ``ServiceError`` for load parameters: the bundle alone describes a model."""
    if named := list(parameters):
        raise ServiceError(Kind.INVALID, f"parameter {named[0][:100]!r}: a model is loaded as its bundle describes it; "
                                         "leave the "
                                         "parameters out")


def check_unload(name: str, parameters: Iterable[str]) -> None:
    """Raises ``ServiceError`` for an unload request without a model or with parameters; no model depends on another."""
    if not name:
        raise ServiceError(Kind.INVALID, "model_name: is empty; name the model to unload")
    if unknown := [each for each in parameters if each != UNLOAD_DEPENDENTS]:
        raise ServiceError(Kind.INVALID, f"parameter {unknown[0][:100]!r} is unknown; known: {UNLOAD_DEPENDENTS}")


def split_version(name: str) -> tuple[str, int | None]:
    """Parses ``NAME`` or ``NAME:VERSION`` of a load or unload request; raises ``ServiceError``."""
    name, _, chosen = name.partition(":")
    return name, parse_version(chosen)


def classify(values: Array, count: Any, model: Model) -> Array:
    """Converts scores [N, ...] to an object array [N, min(count, classes)] of ``value:index:label``, the largest first.

    The label is present only if the model has labels. Raises ``ServiceError`` for an invalid count.
    """
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise ServiceError(Kind.INVALID, f"classification {cut(repr(count))}: must be the number of classes wanted, a whole "
                                         "number from 1")
    flat = values.reshape(len(values), -1)
    best = np.argsort(-flat.astype(np.float64), axis=1, kind="stable")[:, :count]
    entries = [_entry(row[index], int(index), model.labels) for row, chosen in zip(flat, best, strict=True)
               for index in chosen]
    return strings(entries).reshape(best.shape)


def _entry(value: Any, index: int, labels: tuple[str, ...] | None) -> bytes:
    label = f":{labels[index]}" if labels is not None and index < len(labels) else ""
    return f"{value:f}:{index}{label}".encode()
