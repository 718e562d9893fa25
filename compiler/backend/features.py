"""Which tensor of a network is its features: what the classifier at its end reads."""

from onnx import numpy_helper

from arrayloom.compiler.graph import Add, Clamp, Conv, Graph, GraphOutput, Lookup, Op, SumPool, View
from arrayloom.isa.host_steps import Dequantize

PASSED = (View, Clamp, Lookup, SumPool, Add)    # what may stand between a classifier and the output

PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")      # of a tail: the classifier is the host's


def find_features(graph: Graph) -> str | None:
    """The tensor, before it is flattened, that the last convolution or matrix product reads.

    None when the first output does not come from a classifier, when that reads the model's input, or when the host computes
    it in float.
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
    """The features as an output of the program: dequantized by what the classifier's node says of its input."""
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
