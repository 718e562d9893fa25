"""The same network in untidy form: equal values, from a graph as careless tools write it."""

import numpy as np
import onnx

from arrayloom.compiler.frontend.runtime import Array


def untidied(model: onnx.ModelProto, seed: int) -> onnx.ModelProto:
    """The network with nodes in any order, Identity nodes, equal parameters shared, and inputs that nothing reads."""
    random = np.random.default_rng(seed)
    untidy = onnx.ModelProto()
    untidy.CopyFrom(model)
    graph = untidy.graph
    _share(graph)
    _add_identities(graph, random)
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend(nodes[place] for place in random.permutation(len(nodes)))
    for count in range(random.integers(0, 3)):
        shape = [int(extent) for extent in random.integers(1, 9, random.integers(0, 6))]
        value = onnx.helper.make_tensor_value_info(f"unused_{count}", onnx.TensorProto.FLOAT, shape)
        graph.input.insert(int(random.integers(0, len(graph.input) + 1)), value)
    return untidy


def _share(graph: onnx.GraphProto) -> None:
    """Merges equal initializers."""
    first: dict[tuple[str, tuple[int, ...], bytes], str] = {}
    names: dict[str, str] = {}
    for tensor in graph.initializer:
        value: Array = onnx.numpy_helper.to_array(tensor)
        key = str(value.dtype), value.shape, value.tobytes()
        names[tensor.name] = first.setdefault(key, tensor.name)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
    kept = [tensor for tensor in graph.initializer if names[tensor.name] == tensor.name]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _add_identities(graph: onnx.GraphProto, random: np.random.Generator) -> None:
    added = []
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name and random.random() < 0.1:
                made = f"{name}_same_{len(added)}"
                added.append(onnx.helper.make_node("Identity", [name], [made], name=made))
                node.input[place] = made
    graph.node.extend(added)
