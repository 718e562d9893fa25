"""The emulator with a plan: sessions use it for batches, and build it once per program."""

import itertools
from collections.abc import Iterator

import numpy as np
import onnx
import pytest

from arrayloom import Session
from arrayloom.compiler import compile_model
from arrayloom.host.models import digits
from arrayloom.host.runtime import planned
from arrayloom.host.runtime.backends import EmulatorDevice, open_device
from arrayloom.host.runtime.planned import PlannedDevice
from arrayloom.host.runtime.reference import Reference
from arrayloom.host.runtime.report import Snapshot
from arrayloom.isa.config import PRESETS
from arrayloom.isa.errors import ArrayloomError
from arrayloom.isa.program import Program, ProgramError
from arrayloom.sim.plan import Library, Plan, PlanError

TINY = PRESETS["tiny"]
IMAGES = np.random.default_rng(0).random((5, 1, 8, 8), np.float32)


@pytest.fixture(scope="module")
def program() -> Program:
    return compile_model(digits.MODEL, config=TINY)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Program]]:
    """Records the programs for which plans are built."""
    programs: list[Program] = []

    def make(program: Program, library: Library, threads: int) -> Plan:
        programs.append(program)
        return Plan(program, library, threads)

    monkeypatch.setattr(planned, "Plan", make)
    return programs


@pytest.mark.parametrize("library", Library)
def test_a_batch_equals_the_interpreter_and_onnx_runtime(program: Program, library: Library) -> None:
    device = PlannedDevice(EmulatorDevice(TINY), threads=2, library=library)
    with Session(program, TINY, device=device) as session, Session(program, TINY, device=EmulatorDevice(TINY)) as plain:
        assert session.prepare() and not plain.prepare()
        outputs, features = session.score({"image": IMAGES})
        wanted, wanted_features = plain.score({"image": IMAGES})
        assert session.report.macs == plain.report.macs == 5 * program.macs
        assert session.report.backend == "emulator"
    np.testing.assert_array_equal(outputs["logits"], wanted["logits"])
    np.testing.assert_array_equal(features.integers, wanted_features.integers)
    np.testing.assert_array_equal(outputs["logits"], Reference(onnx.load(digits.MODEL)).run({"image": IMAGES})["logits"])


def test_a_plan_is_made_once_for_a_program(program: Program, made: list[Program]) -> None:
    device = open_device("emulator", TINY)
    with Session(program, TINY, device=device) as session:
        for _ in range(3):
            session.run({"image": IMAGES})
        assert made == [program]
        other = compile_model(digits.MODEL, config=TINY)
        other.constants = other.constants.copy()
        other.constants[::7] ^= 0x10
        with Session(other, TINY, device=device) as changed:
            got = changed.run({"image": IMAGES})["logits"]
        wanted = Session(other, TINY, device=EmulatorDevice(TINY)).run({"image": IMAGES})["logits"]
        np.testing.assert_array_equal(got, wanted)
        assert [id(one) for one in made] == [id(program), id(other)]


def test_a_program_whose_constants_are_replaced_gets_a_new_plan(made: list[Program]) -> None:
    changed = compile_model(digits.MODEL, config=TINY)
    with Session(changed, TINY, device=open_device("emulator", TINY)) as session:
        before = session.run({"image": IMAGES})["logits"]
        changed.constants = changed.constants.copy()
        changed.constants[::7] ^= 0x10
        assert not np.array_equal(session.run({"image": IMAGES})["logits"], before)
    assert len(made) == 2


def test_without_a_plan_the_interpreter_runs(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = Session(program, TINY, "emulator").run({"image": IMAGES})["logits"]

    def fail(*_: object) -> None:
        raise PlanError("it has none")

    monkeypatch.setattr(planned, "Plan", fail)
    device = PlannedDevice(EmulatorDevice(TINY))
    with Session(program, TINY, device=device) as session:
        assert not session.prepare()
        assert device.reason == "it has none"
        np.testing.assert_array_equal(session.run({"image": IMAGES})["logits"], wanted)
    with pytest.raises(ValueError, match="has no plan"):
        device.run_batch(program, {}, [])


def test_another_configuration_is_refused(program: Program) -> None:
    with pytest.raises(ProgramError, match="compiled for configuration tiny"):
        open_device("emulator", PRESETS["edge"]).prepare(program)    # type: ignore[attr-defined]


@pytest.mark.parametrize("together", [1, 5])
def test_progress_goes_from_step_to_step_and_begins_again_with_each_image(program: Program, together: int,
                                                                          monkeypatch: pytest.MonkeyPatch) -> None:
    if together == 1:
        monkeypatch.setattr("arrayloom.sim.plan.plan.BATCH_BYTES", 1)
    found: list[Snapshot] = []
    with Session(program, TINY, "emulator") as session:
        session.run({"image": IMAGES}, found.append)
    shares = [snapshot.share for snapshot in found]
    assert sum(after < before for before, after in itertools.pairwise(shares)) == 4
    assert shares.count(1.0) == 5 and shares[-1] == 1.0
    assert all(before == 1.0 for before, after in itertools.pairwise(shares) if after < before)
    assert len(set(shares)) > 8
    assert {snapshot.layer for snapshot in found} >= {"Conv_0_quant", "Conv_15_quant"}
    assert {snapshot.count for snapshot in found} == {len(program)}


def test_what_progress_raises_ends_the_run(program: Program) -> None:
    def stop(_: Snapshot) -> None:
        raise ArrayloomError("enough")

    with Session(program, TINY, "emulator") as session:
        wanted = session.run({"image": IMAGES})["logits"]
        with pytest.raises(ArrayloomError, match="enough"):
            session.run({"image": IMAGES}, stop)
        np.testing.assert_array_equal(session.run({"image": IMAGES})["logits"], wanted)


def test_traces_are_the_interpreters() -> None:
    with pytest.raises(ArrayloomError, match="records nothing"):
        open_device("emulator", TINY).trace()
