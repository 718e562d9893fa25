"""The integer graph of an imported model compared with ONNX Runtime on its lowered form, at every tensor."""

from collections.abc import Mapping

import numpy as np
from interpreter import interpret
from networks import Array

from arrayloom.compiler.frontend import ImportedModel
from arrayloom.compiler.graph import Graph
from arrayloom.host.runtime.reference import Reference

#: In names of tensors that the model does not have.
_OWN = (", spread for ", ", made for ")


def check(imported: ImportedModel, images: int = 3) -> Graph:
    """Asserts that the graph's tensors equal ONNX Runtime's on random images; returns the graph."""
    graph, rng = imported.graph, np.random.default_rng(1)
    reference = Reference(graph.integer_model)
    for _ in range(images):
        inputs = {}
        for given in graph.inputs:
            shape = (1, *given.shape)
            bytes_ = rng.integers(0, 256, shape).astype(np.uint8)
            inputs[given.name] = rng.normal(size=shape).astype(np.float32) if given.quantize else bytes_.view(given.dtype)
        equal_values(graph, inputs, reference)
    return graph


def equal_values(graph: Graph, inputs: Mapping[str, Array], reference: Reference | None = None) -> dict[str, Array]:
    """ONNX Runtime's values in the integer model, after each tensor of the graph was found to be one of them, and equal."""
    expected = (reference or Reference(graph.integer_model)).run_all(inputs)
    values = interpret(graph, inputs)
    assert {op.output for op in graph.ops if not any(own in op.output for own in _OWN)} <= expected.keys()
    assert values.keys() & expected.keys()
    assert differing(values, expected) == []
    return expected


def differing(values: Mapping[str, Array], expected: Mapping[str, Array]) -> list[str]:
    """Names of tensors in both dictionaries that differ.

    In networks of mixed dtypes, int8 values may be imported as uint8, each byte plus 128.
    """
    shared = values.keys() & expected.keys()
    alike = {name: _alike(expected[name], values[name].dtype) for name in shared}
    return sorted(name for name in shared if not np.array_equal(alike[name], values[name].ravel()))


def _alike(expected: Array, dtype: np.dtype) -> Array:
    shifted = (expected.dtype, dtype) == (np.int8, np.uint8)
    return expected.ravel().astype(np.int16) + 128 if shifted else expected.ravel()
