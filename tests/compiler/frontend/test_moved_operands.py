"""Movement before and after functions of several operands: done on integers, so the function reads moved elements."""

import numpy as np
import pytest
from interpreter import interpret
from networks import Network
from verification import random_values

from arrayloom.compiler.errors import UnsupportedError
from arrayloom.compiler.frontend import HostPolicy, ImportOptions, import_model
from arrayloom.host.runtime.reference import Reference

SHAPE = ["N", 4, 6, 6]


class _Case(Network):
    """A network with one or two uint8 inputs."""

    def __init__(self) -> None:
        super().__init__(17)
        self.real: dict[str, str] = {}

    @property
    def a(self) -> str:
        """The first input, dequantized."""
        return self._dequantized("a")

    @property
    def b(self) -> str:
        """The second input, dequantized."""
        return self._dequantized("b")

    def _dequantized(self, name: str) -> str:
        if name not in self.real:
            self.real[name] = self.dequantize(name, 0.03, 120)
        return self.real[name]

    def check(self, real: str, distance: int = 1) -> list[str]:
        """Equal to the lowered network and close to the original; returns the operators of the lowered network."""
        self.quantize(real, 0.05, 100, output="y")
        model = self.model(dict.fromkeys(self.real, (np.uint8, SHAPE)), ["y"])
        imported = import_model(model, ImportOptions(host=HostPolicy.NONE))
        values = random_values(imported.graph)
        expected, found = Reference(imported.lowered).run_all(values), interpret(imported.graph, values)
        assert all(np.array_equal(expected[name].ravel(), found[name].ravel()) for name in expected.keys() & found.keys())
        given = Reference(model).run(values)["y"].astype(int).ravel()
        assert np.abs(given - found["y"].astype(int).ravel()).max() <= distance
        return [node.op_type for node in imported.lowered.graph.node]

    def swapped(self, value: str) -> str:
        """The channels in another order."""
        return self.node("Gather", [value, self.constant(np.array([2, 0, 3, 1]))], axis=1)


def test_a_function_of_moved_and_unmoved_values() -> None:
    net = _Case()
    divisor = net.node("Add", [net.node("Sigmoid", [net.b]), net.constant(np.float32(0.5))])
    assert "Gather" in net.check(net.node("Div", [net.swapped(net.a), divisor]))


def test_a_gate_after_movement() -> None:
    net = _Case()
    moved = net.node("Pad", [net.a, net.constant(np.array([0, 0, 1, 1, 0, 0, 1, 1]))], mode="edge")
    shifted = net.node("Add", [moved, net.constant(np.float32(0.3))])
    bounds = [net.constant(np.float32(bound)) for bound in (0, 1)]
    net.check(net.node("Mul", [moved, net.node("Clip", [shifted, *bounds])]))


def test_a_function_of_each_channel_after_moved_channels() -> None:
    net = _Case()
    slopes = net.constant(np.linspace(0.1, 0.7, 4, dtype=np.float32).reshape(4, 1, 1))
    net.check(net.node("PRelu", [net.swapped(net.a), slopes]))


def test_a_function_of_two_values_before_movement() -> None:
    """QuantizeLinear comes before the movement."""
    net = _Case()
    gated = net.node("Mul", [net.a, net.node("Sigmoid", [net.b])])
    operators = net.check(net.node("Transpose", [gated], perm=[0, 1, 3, 2]))
    assert operators.index("QuantizeLinear") < operators.index("Transpose")


def test_functions_of_a_value_that_branch_before_movement() -> None:
    net = _Case()
    half = net.node("Mul", [net.a, net.node("HardSigmoid", [net.a])])
    wave = net.node("Add", [net.node("Erf", [net.node("Div", [half, net.constant(np.float32(1.4))])]),
                            net.constant(np.float32(1))])
    net.check(net.node("Flatten", [net.node("Mul", [half, wave])]))


def test_interpolation_between_layers_in_float_is_rounded() -> None:
    """Interpolation is no movement: its result is rounded like a layer's, if the user permits it."""
    net = Network(17)
    weight = net.constant(np.random.default_rng(0).integers(-90, 90, (4, 4, 3, 3)).astype(np.int8))
    real = net.dequantize(weight, 0.01, 0, np.int8)
    made = net.node("Conv", [net.dequantize("a", 0.03, 120), real], pads=[1, 1, 1, 1])
    scales = net.constant(np.array([1, 1, 2, 2], np.float32))
    large = net.node("Resize", [made, "", scales], mode="linear")
    net.quantize(net.node("ReduceMax", [large], axes=[2, 3], keepdims=1), 0.05, 100, output="y")
    model = net.model({"a": (np.uint8, SHAPE)}, ["y"])
    with pytest.raises(UnsupportedError, match="--insert-rounding"):
        import_model(model, ImportOptions(host=HostPolicy.NONE))
    graph = import_model(model, ImportOptions(host=HostPolicy.NONE, insert_rounding=True)).graph
    values = random_values(graph)
    expected = Reference(graph.integer_model).run_all(values)
    found = interpret(graph, values)
    assert all(np.array_equal(expected[name].ravel(), found[name].ravel()) for name in expected.keys() & found.keys())
    assert len(graph.inserted_roundings) == 2


def test_a_slice_that_is_an_output_and_read() -> None:
    net = Network(17)
    cut = [net.constant(np.array([value])) for value in (1, 3, 1)]
    part = net.node("Slice", [net.dequantize("a", 0.03, 120), *cut], "part")
    net.quantize(net.node("Sigmoid", [part]), 1 / 256, 0, output="y")
    model = net.model({"a": (np.uint8, SHAPE)}, ["part", "y"])
    imported = import_model(model, ImportOptions(host=HostPolicy.NONE))
    assert [output.name for output in imported.graph.outputs] == ["part", "y"]
