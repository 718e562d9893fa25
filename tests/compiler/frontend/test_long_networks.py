"""Networks of thousands of sequential nodes, and functions that branch and join: no recursion, no exponential time."""

import sys
from collections.abc import Callable

import numpy as np
import pytest
from exact_graph import check
from qdq_network import QdqNetwork

from arrayloom.compiler.errors import UnsupportedError
from arrayloom.compiler.frontend import ImportOptions, import_model

LENGTH = sys.getrecursionlimit() + 200
BRANCHES = 40  # path by path, they would take 2**40 steps

Link = Callable[[QdqNetwork, str, int], str]


def _reshape(network: QdqNetwork, value: str, place: int) -> str:
    return network.node("Reshape", [value, network.constant(np.array([0, 4, 3, 2] if place % 2 else [0, 4, 2, 3]))])


LINKS: dict[str, Link] = {
    "Identity": lambda network, value, _: network.node("Identity", [value]),
    "Relu": lambda network, value, _: network.node("Relu", [value]),
    "Reshape": _reshape,
    "Transpose": lambda network, value, _: network.node("Transpose", [value], perm=[0, 1, 3, 2]),
}


def _chain(network: QdqNetwork, value: str, link: Link, length: int = LENGTH) -> str:
    for place in range(length):
        value = link(network, value, place)
    return value


def _convolved(network: QdqNetwork, value: str) -> str:
    return network.node("Conv", [value, network.weight(4, 4, 1, 1)])


@pytest.mark.parametrize("link", LINKS)
def test_a_chain_between_integers(link: str) -> None:
    network = QdqNetwork()
    check(import_model(network.finished(_chain(network, network.real, LINKS[link]), 4, 2, 3)), images=1)


@pytest.mark.parametrize("link", LINKS)
def test_a_chain_after_a_convolution(link: str) -> None:
    network = QdqNetwork()
    value = _chain(network, _convolved(network, network.real), LINKS[link])
    check(import_model(network.finished(value, 4, 2, 3)), images=1)


@pytest.mark.parametrize("link", ["Identity", "Transpose"])
def test_a_chain_before_a_convolution(link: str) -> None:
    network = QdqNetwork()
    value = _convolved(network, _chain(network, network.real, LINKS[link]))
    check(import_model(network.finished(value, 4, 2, 3)), images=1)


def test_a_chain_of_movements_that_do_not_become_one() -> None:
    network, random = QdqNetwork(), np.random.default_rng(0)
    value = network.real
    for _ in range(LENGTH // 3):
        value = network.node("Reshape", [value, network.constant(np.array([0, 12, 2]))])
        value = network.node("Gather", [value, network.constant(random.permutation(12))], axis=1)
        value = network.node("Reshape", [value, network.constant(np.array([0, 4, 2, 3]))])
    check(import_model(network.finished(_convolved(network, value), 4, 2, 3)), images=1)


def test_a_chain_that_is_left_in_float_is_refused_node_by_node() -> None:
    network = QdqNetwork()
    value = _chain(network, _convolved(network, network.real), LINKS["Relu"])
    with pytest.raises(UnsupportedError) as caught:
        import_model(network.model({"x": (np.uint8, ["N", 4, 2, 3])}, [value]), ImportOptions(host="none"))
    assert len(caught.value.nodes) > LENGTH


def test_a_chain_of_floats_whose_values_are_rounded() -> None:
    network = QdqNetwork()
    value = _chain(network, _convolved(network, network.real), LINKS["Relu"])
    value = _convolved(network, _chain(network, value, LINKS["Transpose"]))
    imported = import_model(network.finished(value, 4, 2, 3), ImportOptions(insert_rounding=True))
    assert len(imported.graph.inserted_roundings) == 1
    check(imported, images=1)


@pytest.mark.parametrize("behind_a_convolution", [False, True])
def test_functions_that_branch_and_join(behind_a_convolution: bool) -> None:
    network = QdqNetwork()
    value = network.real
    if behind_a_convolution:
        value = network.rounded(_convolved(network, value))
    for _ in range(BRANCHES):
        value = network.node("Mul", [value, network.node("Sigmoid", [value])])
    check(import_model(network.finished(value, 4, 2, 3)), images=1)
