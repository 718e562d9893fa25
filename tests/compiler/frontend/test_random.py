"""Random networks: the imported graph equals ONNX Runtime at every tensor, in QOperator and QDQ form."""

from typing import Any

import numpy as np
import pytest
from exact_graph import differing
from interpreter import interpret
from numpy.typing import NDArray
from qdq import to_qdq
from random_graphs import generate, random_inputs
from untidy import untidied

from arrayloom.compiler.frontend import import_model
from arrayloom.host.runtime.reference import Reference

Array = NDArray[Any]
BATCH = 20


def _check_qoperator(seed: int) -> None:
    model = generate(seed)
    inputs = random_inputs(model, seed)
    graph = import_model(model).graph
    reference = Reference(graph.integer_model)
    expected = reference.run_all(inputs)
    assert {op.output for op in graph.ops if ", spread for " not in op.output} <= expected.keys(), seed
    assert differing(interpret(graph, inputs), expected) == [], seed
    alone = reference.run(inputs)
    assert all(np.array_equal(alone[name], expected[name]) for name in alone), seed


def _check_qdq(seed: int) -> None:
    """The lowered network equals the one that the QDQ network was made from."""
    model = generate(seed)
    inputs = random_inputs(model, seed)
    graph = import_model(to_qdq(model)).graph
    assert differing(interpret(graph, inputs), Reference(model).run_all(inputs)) == [], seed
    assert differing(interpret(graph, inputs), Reference(graph.integer_model).run_all(inputs)) == [], seed


def _check_untidy(seed: int) -> None:
    """Node order, Identity nodes, shared parameters and unused inputs change no value."""
    model = generate(seed)
    inputs = random_inputs(model, seed)
    expected = Reference(model).run_all(inputs)
    for form in (model, to_qdq(model)):
        imported = import_model(untidied(form, seed))
        assert {given.name for given in imported.graph.inputs} == inputs.keys(), seed
        assert differing(interpret(imported.graph, inputs), expected) == [], seed
        assert differing(interpret(imported.graph, inputs), Reference(imported.lowered).run_all(inputs)) == [], seed
        Reference(imported.original).run(inputs)


@pytest.mark.parametrize("first", range(0, 160, BATCH))
def test_qoperator_networks(first: int) -> None:
    for seed in range(first, first + BATCH):
        _check_qoperator(seed)


@pytest.mark.parametrize("first", range(1000, 1100, BATCH))
def test_qdq_networks_are_lowered_to_what_they_were_made_of(first: int) -> None:
    for seed in range(first, first + BATCH):
        _check_qdq(seed)


@pytest.mark.parametrize("first", range(3000, 3100, BATCH))
def test_untidy_networks(first: int) -> None:
    for seed in range(first, first + BATCH):
        _check_untidy(seed)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(5000, 8000, 500))
def test_many_networks(first: int) -> None:
    for seed in range(first, first + 500):
        _check_qoperator(seed)
        _check_qdq(seed)
