"""Plans of programs with depthwise instructions, against the emulator at every word that a POST instruction writes."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from mobile_networks import mobile_network
from plans import assert_plan_equals_emulator, random_integers
from small_accelerators import ROOMY

from arrayloom.compiler import compile_model
from arrayloom.isa.config import PRESETS, Config
from arrayloom.isa.fields import INSTRUCTION_BYTES, seal
from arrayloom.isa.instructions import Depthwise, Drain, DrainDepthwise
from arrayloom.isa.program import Program
from arrayloom.sim.plan import Library, Plan, PlanError


@pytest.fixture(scope="module")
def program() -> Program:
    return compile_model(mobile_network("mobilenet_v2", 32, 0.25), ROOMY)


@pytest.mark.parametrize("config", [ROOMY, PRESETS["16x16-mobile"]], ids=lambda config: config.name)
@pytest.mark.parametrize("name", ["mobilenet_v2", "efficientnet_b0"])
def test_mobile_networks(name: str, config: Config) -> None:
    program = compile_model(mobile_network(name, 32, 0.25), config)
    assert sum(isinstance(one, Depthwise) for one in program) > 20
    assert_plan_equals_emulator(program, random_integers(program, 2), list(Library)[name == "mobilenet_v2"], threads=2)


def _changed(program: Program, kind: type, **fields: int) -> Program:
    """The program with other fields in its first instruction of that kind."""
    index, found = next((index, one) for index, one in enumerate(program) if type(one) is kind)
    values = {spec.name: getattr(found, spec.name) for spec in type(found).specs()[1:]} | fields
    code = program.instructions.copy()
    word = type(found)(**values).encode(program.first_index + index)
    code[index * INSTRUCTION_BYTES:(index + 1) * INSTRUCTION_BYTES] = np.frombuffer(word, np.uint8)
    seal(code, program.first_index)
    return replace(program, instructions=code)


def _written(program: Program) -> int:
    return next(one.destination for one in program if type(one) is Drain)


CASES: list[tuple[type, Callable[[Program], dict[str, int]], str]] = [
    (Depthwise, lambda program: {"weights": _written(program)}, "are not loaded from memory"),
    (Depthwise, lambda program: {"weights": program.configuration.activation_words - 1}, "outside the scratchpad"),
    (Depthwise, lambda _: {"repeats": 0}, "pixels and 0 weights"),
    (Depthwise, lambda _: {"height": 127, "width": 127}, "16129 pixels"),
    (DrainDepthwise, lambda _: {"height": 1, "width": 1}, "no full accumulator bank of as many pixels"),
]


@pytest.mark.parametrize(("kind", "fields", "message"), CASES, ids=[case[2] for case in CASES])
def test_what_breaks_a_rule_has_no_plan(program: Program, kind: type, fields: Callable[[Program], dict[str, int]],
                                        message: str) -> None:
    with pytest.raises(PlanError, match=message):
        Plan(_changed(program, kind, **fields(program)))
