"""What the Open Inference Protocol says alike over gRPC and HTTP."""

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from arrayloom.host.serving.core.errors import Kind, ServiceError
from arrayloom.host.serving.core.model import Model, Port
from arrayloom.host.serving.core.service import Service, State
from arrayloom.host.serving.protocols.open_inference.tensors import datatype

SERVER = "arrayloom"
PLATFORM = "arrayloom_program"
EXTENSIONS = ["binary_tensor_data", "classification", "model_repository"]
STATES = {State.AVAILABLE: "READY", State.LOADING: "LOADING", State.START: "UNAVAILABLE"}

try:
    VERSION = version("arrayloom")
except PackageNotFoundError:        # run from a source tree
    VERSION = "unknown"


def describe(port: Port) -> dict[str, Any]:
    """A port as metadata give it."""
    return {"name": port.name, "datatype": datatype(port.dtype), "shape": list(port.batched)}


def is_ready(service: Service, model: Model) -> bool:
    return service.ready and service.state(model) is State.AVAILABLE


def index(service: Service, only_ready: bool) -> Iterator[dict[str, str]]:
    """The models of the repository with their states."""
    for model in service.repository:
        state = service.state(model)
        if state is State.AVAILABLE or not only_ready:
            reason = "" if state is State.AVAILABLE else "not on the device"
            yield {"name": model.name, "version": str(model.version), "state": STATES[state], "reason": reason}


def timeout(microseconds: Any, seconds: float | None) -> float | None:
    """The smaller of a request's ``timeout`` parameter, in microseconds, and the protocol's own limit."""
    if microseconds is None:
        return seconds
    if not isinstance(microseconds, int) or isinstance(microseconds, bool) or microseconds <= 0:
        raise ServiceError(Kind.INVALID, f"timeout {str(microseconds)[:100]}: must be microseconds, above 0")
    return microseconds / 1e6 if seconds is None else min(seconds, microseconds / 1e6)


def split_version(name: str) -> tuple[str, str]:
    """``NAME`` or ``NAME:VERSION``, as models are named to be loaded."""
    name, _, chosen = name.partition(":")
    return name, chosen
