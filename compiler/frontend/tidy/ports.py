"""Handles inputs that nothing reads, and outputs that are constants or inputs."""

import onnx

from arrayloom.compiler.errors import ModelError
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.reads import reads
from arrayloom.compiler.frontend.runtime import model_inputs
from arrayloom.compiler.frontend.tidy.edit import copied, rename_reads, unused, used_names

_BYTES = (onnx.TensorProto.UINT8, onnx.TensorProto.INT8)


def drop_unused_inputs(model: onnx.ModelProto, notes: list[str]) -> onnx.ModelProto:
    """Returns the model without the inputs on which no output depends, and without the nodes that read them.

    Such inputs may have any shape: PyTorch's exporter declares scales as inputs and then stores them as constants. If no
    input is read at all, the model is returned unchanged.
    """
    graph = model.graph
    wanted = {value.name for value in graph.output}
    needed = []
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            needed.append(node)
            wanted.update(reads(node))
    inputs = model_inputs(graph)
    dropped = [value.name for value in inputs if value.name not in wanted]
    if not dropped or len(dropped) == len(inputs):
        return model
    listed = ", ".join(f"'{name}'" for name in dropped)
    plural = "inputs" if len(dropped) > 1 else "input"
    notes.append(f"no output depends on the {plural} {listed}: left out")
    kept = [value for value in graph.input if value.name not in dropped]
    tidied = copied(model)
    del tidied.graph.node[:], tidied.graph.input[:]
    tidied.graph.node.extend(needed[::-1])
    tidied.graph.input.extend(kept)
    return tidied


def separate_outputs(model: onnx.ModelProto, label: str) -> onnx.ModelProto:
    """Returns the model in which an Identity, which the host can compute, produces each constant output.

    Raises
    ------
    ModelError
        An output is not produced by any node, or is an input (except bytes, which are passed through memory).
    """
    graph = model.graph
    inputs = {value.name: value for value in model_inputs(graph)}
    copies = {node.output[0] for node in graph.node if node.op_type == "Identity"}
    constants = constant_names(graph)
    given = constants | set(inputs) | {name for node in graph.node for name in node.output}
    separated = []
    for output in graph.output:
        name = output.name
        if name not in given:
            raise ModelError(f"output '{name}' of {label} is produced by no node; the graph is damaged")
        if name in inputs and inputs[name].type.tensor_type.elem_type not in _BYTES:
            raise ModelError(
                f"output '{name}' of {label} is its input itself, which the caller has; take it from the outputs"
            )
        if name in constants - copies:
            separated.append(name)
    if not separated:
        return model
    return _separated(model, separated)


def _separated(model: onnx.ModelProto, names: list[str]) -> onnx.ModelProto:
    tidied = copied(model)
    graph = tidied.graph
    used = used_names(graph)
    renamed = {name: unused(f"{name}_constant", used) for name in names}
    for node in graph.node:
        rename_reads(node, renamed)
        for place, name in enumerate(node.output):
            node.output[place] = renamed.get(name, name)
    for tensor in [*graph.initializer, *graph.input]:
        tensor.name = renamed.get(tensor.name, tensor.name)
    for name, constant in renamed.items():
        graph.node.append(onnx.helper.make_node("Identity", [constant], [name], name=name))
    return tidied


def check_constant_outputs(model: Model) -> None:
    """Refuses constant outputs without a batch, since the host returns every output for each image.

    Raises
    ------
    ModelError
        The first extent of a constant output is not 1.
    """
    for name in model.outputs:
        if model.is_constant(name) and model.shapes[name][:1] != (1,):
            raise ModelError(
                f"output '{name}' is a constant of shape {list(model.shapes[name])}, without a batch; "
                "take it from the outputs, or give it a first extent of 1"
            )


def constant_names(graph: onnx.GraphProto) -> set[str]:
    """Returns the values that depend on no input: initializers, and results computed from them. Nodes must be sorted."""
    constants = {tensor.name for tensor in graph.initializer} | {""}
    for node in graph.node:
        if not node.op_type.startswith("Random") and constants.issuperset(reads(node)):
            constants.update(node.output)
    return constants - {""}
