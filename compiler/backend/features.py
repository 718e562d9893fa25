"""Finds the features of a network: the tensor that the classifier at its end reads."""

from onnx import numpy_helper

from arrayloom.compiler.graph import Add, Clamp, Conv, Graph, GraphOutput, Lookup, Op, SumPool, View
from arrayloom.isa.host_steps import Dequantize

PASSED = (View, Clamp, Lookup, SumPool, Add)    # operations that may come between the classifier and the output

PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")      # with one of these in the tail, the host computes the classifier


def find_features(graph: Graph) -> str | None:
    """Returns the name of the tensor that the last convolution or matrix product reads, before any flattening.

    Returns None if the first output does not come from a classifier, if the classifier reads the model's input, or if the
    host computes it in float.
    """
    producers = {op.output: op for op in graph.ops}
    classifier = _classifier(graph, producers)
    if classifier is None:
        return None
    name = classifier.x
    while isinstance(producers.get(name), View):
        name = producers[name].inputs[0]
    return name if name in producers else None


def feature_output(graph: Graph, name: str) -> GraphOutput:
    """Returns the features as an output of the program, dequantized with scale and zero point of the classifier's input."""
    classifier = _classifier(graph, {op.output: op for op in graph.ops})
    assert classifier is not None, name
    model = graph.integer_model.graph
    node = next(node for node in model.node if classifier.output in node.output)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.initializer}
    scale = float(constants[node.input[1]].reshape(-1)[0])
    return GraphOutput("features", name, (Dequantize(scale, classifier.x_zero),))


def _classifier(graph: Graph, producers: dict[str, Op]) -> Conv | None:
    if graph.host.tail is not None and any(node.op in PRODUCTS for node in graph.host.tail.nodes):
        return None
    op = producers.get(graph.outputs[0].tensor)
    while isinstance(op, PASSED):
        op = producers.get(op.inputs[0])
    of_model = {name for node in graph.integer_model.graph.node for name in node.output}
    return op if isinstance(op, Conv) and op.output in of_model else None
