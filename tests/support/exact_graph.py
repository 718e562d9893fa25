"""The integer graph of an imported model against ONNX Runtime running its lowered form, at every tensor."""

import numpy as np
from interpreter import interpret

from arrayloom.compiler.frontend import ImportedModel
from arrayloom.compiler.graph import Graph
from arrayloom.host.runtime.reference import Reference


def check(imported: ImportedModel, images: int = 3) -> Graph:
    """The graph, after its tensors and ONNX Runtime's were found equal on random images."""
    graph, rng = imported.graph, np.random.default_rng(1)
    reference = Reference(graph.integer_model)
    for _ in range(images):
        inputs = {}
        for given in graph.inputs:
            shape = (1, *given.shape)
            bytes_ = rng.integers(0, 256, shape).astype(np.uint8)
            inputs[given.name] = rng.normal(size=shape).astype(np.float32) if given.quantize else bytes_.view(given.dtype)
        expected, values = reference.run_all(inputs), interpret(graph, inputs)
        named = {op.output for op in graph.ops if ", spread for " not in op.output}
        assert named <= expected.keys()
        for name in named:
            assert np.array_equal(values[name].ravel(), expected[name].ravel()), name
    return graph
