"""Plans compared with the emulator, at every word that a POST instruction writes."""

from pathlib import Path

import numpy as np
import pytest
from plans import assert_plan_equals_emulator, random_integers
from random_graphs import generate

from arrayloom.compiler import compile_graph, compile_model
from arrayloom.compiler.frontend import import_model
from arrayloom.host.models import digits
from arrayloom.isa.config import PRESETS
from arrayloom.isa.fields import INSTRUCTION_BYTES, seal
from arrayloom.isa.instructions import Convolve, Drain, Elementwise, LoadWeights
from arrayloom.isa.program import Program
from arrayloom.sim.emulator import Emulator, EmulatorError
from arrayloom.sim.plan import Library, Plan, PlanError, build, plan, steps
from arrayloom.sim.plan.products import DividedProduct

GRAPHS, BLOCK = 60, 20


@pytest.fixture(scope="module")
def program() -> Program:
    return compile_model(digits.MODEL, config="tiny")


@pytest.mark.parametrize("library", Library)
@pytest.mark.parametrize("config", ["tiny", "16x16", "64x64"])
def test_digits(config: str, library: Library) -> None:
    program = compile_model(digits.MODEL, config=config)
    assert_plan_equals_emulator(program, random_integers(program, 3), library)


@pytest.mark.parametrize("first", range(0, GRAPHS, BLOCK))
def test_random_graphs(first: int) -> None:
    for seed in range(first, first + BLOCK):
        program = compile_graph(import_model(generate(seed)).graph, PRESETS["tiny" if seed % 2 else "16x16"])
        assert_plan_equals_emulator(program, random_integers(program, 2, seed), list(Library)[seed // 2 % 2])


@pytest.mark.parametrize("model", ["resnet20_cifar10_int8_qdq", "mlperf_tiny_resnet8_int8_qdq", "resnet50_int8_qop"])
def test_networks(shared_data: Path, model: str) -> None:
    program = compile_model(shared_data / "models" / f"{model}.onnx", config="16x16")
    made = assert_plan_equals_emulator(program, random_integers(program, 1))
    assert len(made.steps) < 100


@pytest.mark.slow
@pytest.mark.parametrize("config", ["16x16", "32x32"])
@pytest.mark.parametrize("model", ["squeezenet1.0_int8_qop", "resnet18_int8_qop", "resnet20_cifar10_int8_qop",
                                   "resnet50_int8_qop"])
def test_networks_with_both_libraries(shared_data: Path, model: str, config: str) -> None:
    program = compile_model(shared_data / "models" / f"{model}.onnx", config=config)
    for library in Library:
        assert_plan_equals_emulator(program, random_integers(program, 2), library, threads=2)


def test_pieces_and_passes_change_nothing(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = random_integers(program, 7)
    whole = Plan(program).run(inputs, program.outputs)
    for name in ("PIECE_BYTES", "LEAST_BYTES"):
        monkeypatch.setattr(steps, name, 300)
    assert_plan_equals_emulator(program, random_integers(program, 2), threads=3)
    monkeypatch.setattr(plan, "BATCH_BYTES", 1)
    one_by_one = Plan(program)
    assert one_by_one.images == 1
    for name, values in one_by_one.run(inputs, program.outputs).items():
        np.testing.assert_array_equal(values, whole[name])


def test_large_products_are_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "MOST_WEIGHTS", 1 << 11)
    program = compile_model(digits.MODEL, config="16x16")
    made = assert_plan_equals_emulator(program, random_integers(program, 2))
    assert any(isinstance(step, steps.Computation) and isinstance(step.operation, DividedProduct) for step in made.steps)


def test_neighbouring_products_are_one() -> None:
    """ResNet blocks of digits have two and four output blocks at this size, and each layer is one step."""
    program = compile_model(digits.MODEL, config="16x16")
    drains = sum(isinstance(instruction, Drain) for instruction in program)
    layers = sum(layer.operator in ("QLinearConv", "QGemm") for layer in program.layers)
    computed = [step for step in Plan(program).steps if isinstance(step, steps.Computation) and not step.terms_first]
    assert drains > len(computed) == layers


def test_what_a_step_raises_comes_out_of_the_threads(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(steps, "PIECE_BYTES", 300)
    made = Plan(program, threads=2)
    monkeypatch.setattr(steps.Computation, "_execute", fail)
    with pytest.raises(MemoryError):
        made.run(random_integers(program, 1), program.outputs)


def test_a_run_that_ends_early_leaves_nothing_to_the_next(program: Program) -> None:
    made, inputs = Plan(program), random_integers(program, 2)
    wanted = made.run(inputs, program.outputs)
    for last in range(len(made.steps)):
        def stop(step: steps.Step, _: steps.State, last: int = last) -> None:
            if step is made.steps[last]:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            made.run(random_integers(program, 2, seed=last), program.outputs, stop)
        for name, values in made.run(inputs, program.outputs).items():
            np.testing.assert_array_equal(values, wanted[name])


def _changed(program: Program, index: int, **fields: int) -> Program:
    """The program with changed fields in one instruction."""
    found = list(program)[index]
    values = {spec.name: getattr(found, spec.name) for spec in type(found).specs()[1:]} | fields
    code = program.instructions.copy()
    word = type(found)(**values).encode(program.first_index + index)
    code[index * INSTRUCTION_BYTES:(index + 1) * INSTRUCTION_BYTES] = np.frombuffer(word, np.uint8)
    seal(code, program.first_index)
    return Program(**{name: getattr(program, name) for name in Program.__dataclass_fields__} | {"instructions": code})


def _first(program: Program, kind: type) -> int:
    return next(index for index, instruction in enumerate(program) if isinstance(instruction, kind))


@pytest.mark.parametrize(("kind", "fields"), [
    (Convolve, {"blocks": 2}), (Convolve, {"last": 0}), (Convolve, {"first": 0}), (Convolve, {"source": (1 << 14) - 1}),
    (Drain, {"height": 1}), (Drain, {"destination": (1 << 14) - 1}), (Drain, {"low": 100, "high": 0}), (Drain, {"wait": 2}),
    (Drain, {"lookup_table": 1}), (LoadWeights, {"words": 3}),
])
def test_a_program_that_breaks_a_rule_has_no_plan(program: Program, kind: type, fields: dict[str, int]) -> None:
    broken = _changed(program, _first(program, kind), **fields)
    with pytest.raises(EmulatorError):
        Emulator(broken, broken.configuration).run({name: values[0] for name, values in random_integers(broken, 1).items()})
    with pytest.raises((PlanError, EmulatorError)):
        Plan(broken)


def test_weights_that_are_computed_have_no_plan(program: Program) -> None:
    """Weights must be known before a run; here they are where the input is written."""
    index = _first(program, LoadWeights)
    changed = _changed(program, index, address=program.inputs[0].slot.address)
    with pytest.raises(PlanError, match="are not constant"):
        Plan(changed)
    assert not any(isinstance(instruction, Elementwise) for instruction in program)
