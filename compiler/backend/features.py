"""Which tensor of a network is its features: what the classifier at its end reads."""

from compiler.graph import Add, Clamp, Conv, Graph, Lookup, Op, SumPool, View

PASSED = (View, Clamp, Lookup, SumPool, Add)    # what may stand between a classifier and the output


def find_features(graph: Graph) -> str | None:
    """The tensor, before it is flattened, that the last convolution or matrix product reads.

    None when the first output has no classifier behind it, or when that reads the model's input.
    """
    producers = {op.output: op for op in graph.ops}
    op: Op | None = producers.get(graph.outputs[0].tensor)
    while isinstance(op, PASSED):
        op = producers.get(op.inputs[0])
    if not isinstance(op, Conv):
        return None
    name = op.x
    while isinstance(producers.get(name), View):
        name = producers[name].inputs[0]
    return name if name in producers else None
