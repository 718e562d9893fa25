"""The flow of values from a model's inputs to its outputs: host's head, accelerator, host's tail."""

from collections.abc import Iterable, Sequence

from arrayloom.isa.errors import EncodingError
from arrayloom.isa.host_parts import HostPart, HostWork, ModelPort
from arrayloom.isa.ports import Input, Output


def ports_of_inputs(inputs: Sequence[Input]) -> list[ModelPort]:
    """The inputs of a model without a head on the host."""
    return [ModelPort(port.name, port.shape, port.dtype.name) for port in inputs]


def ports_of_outputs(outputs: Sequence[Output]) -> list[ModelPort]:
    """The outputs of a model without a tail on the host; raises ``EncodingError`` if a step cannot be applied."""
    results = [(port.name, *port.result()) for port in outputs]
    return [ModelPort(name, shape, dtype.name) for name, shape, dtype in results]


def check_model_ports(given: Sequence[ModelPort], wanted: Sequence[ModelPort], inputs: Sequence[Input],
                      outputs: Sequence[Output], work: HostWork) -> None:
    """Raises ``EncodingError`` if a value is read before it is produced, or a part is not permitted.

    ``given`` and ``wanted``: the model's inputs and outputs; ``inputs`` and ``outputs``: the accelerator's.
    """
    for ports, what in ((given, "model_inputs"), (wanted, "model_outputs")):
        listed = [port.name for port in ports]
        if not listed or len(set(listed)) < len(listed):
            raise EncodingError(f"{what} {listed}: there must be one at least, each with its own name")
        for port in ports:
            port.check()
    values = {port.name: port for port in given}
    names = set(values)
    made = _through(work.head, "head", names)
    names |= made
    _require([port.name for port in inputs], names, "the accelerator")
    _compare([port for port in ports_of_inputs(inputs) if port.name not in made], values, "input")
    names |= {port.name for port in outputs}
    made |= _through(work.tail, "tail", names)
    names |= made
    _require([port.name for port in wanted], names, "the model")
    results = {port.name: port for port in ports_of_outputs(outputs)}
    _compare([port for port in wanted if port.name in results and port.name not in made], results, "output")


def _through(part: HostPart | None, which: str, names: set[str]) -> set[str]:
    """The names of a part's outputs, given the names ``names`` of the available values."""
    if part is None:
        return set()
    # few programs have a part, and onnx is slow to import
    from arrayloom.isa.host_part_check import read_part, required_inputs

    model = read_part(part, which)
    _require(required_inputs(model), names, f"the host's {which}")
    return {value.name for value in model.graph.output}


def _require(wanted: Iterable[str], names: set[str], reader: str) -> None:
    for name in wanted:
        if name not in names:
            raise EncodingError(f"value {name!r}: {reader} needs it, and nothing before makes it")


def _compare(ports: Sequence[ModelPort], values: dict[str, ModelPort], what: str) -> None:
    """Checks that a port is described in the same way on both sides."""
    for port in ports:
        if port != values[port.name]:
            other = values[port.name]
            raise EncodingError(f"{what} {port.name!r}: the model has {list(other.shape)} {other.dtype} there, the "
                                f"accelerator {list(port.shape)} {port.dtype}")
