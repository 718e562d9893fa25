"""Segments on the RTL: their concatenation equals the whole run to the cycle, and every fault is found."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest
from segments import Emulated, InTurn, Network, digits_on, mobile, random_on

from arrayloom.host.runtime.backends import RtlDevice
from arrayloom.host.runtime.errors import RunError
from arrayloom.host.runtime.verdict import Verdict
from arrayloom.host.runtime.verify import Verifier
from arrayloom.host.segments.check import Judge
from arrayloom.host.segments.merge import merge
from arrayloom.host.segments.overlap import Overlap
from arrayloom.host.segments.run import Run, run_segment
from arrayloom.host.segments.segment import Segment, cut
from arrayloom.host.segments.state import Changes, State
from arrayloom.host.segments.verify import SpreadVerdict, Verification
from arrayloom.isa.fields import INSTRUCTION_BYTES, Instruction, seal
from arrayloom.isa.instructions import Convolve, LoadParameters, LoadWeights, Store, decode
from arrayloom.isa.program import Program
from arrayloom.sim.compare import Comparison, Divergence, compare_writes


def in_segments(network: Network, cuts: tuple[int, ...]) -> SpreadVerdict:
    load = lambda: (network.imported, [network.inputs])  # noqa: E731
    return Verification(InTurn(), load, network.program.configuration, cuts=cuts).run()


def unsegmented(network: Network) -> Verdict:
    device = RtlDevice(network.program.configuration)
    verdict = Verifier(network.imported, network.program, device).verify(network.inputs)
    device.close()
    return verdict


def some_cuts(network: Network, count: int) -> tuple[int, ...]:
    """Cuts at roughly equal distances."""
    cuts = network.cuts()
    return tuple(cuts[len(cuts) * number // (count + 1)] for number in range(1, count + 1))


@pytest.mark.parametrize(("name", "config", "pieces"), [
    ("digits", "tiny", 4), ("digits", "edge", 2), (18, "tiny", 4), (23, "edge", 2), (29, "edge", 3),
    (53, "tiny", 3)])
def test_put_together_they_are_the_whole_run(name: str | int, config: str, pieces: int) -> None:
    check_put_together(digits_on(config) if isinstance(name, str) else random_on(config, name), pieces)


def test_put_together_they_are_the_whole_run_with_a_depthwise_unit() -> None:
    check_put_together(mobile(), 4)


def check_put_together(network: Network, pieces: int) -> None:
    found, wanted = in_segments(network, some_cuts(network, pieces - 1)), unsegmented(network)
    assert found.exact
    assert len(found.tasks) == pieces
    got, expected = found.verdict.report, wanted.report
    assert (got.cycles, got.counters, got.words_read, got.words_written) == (
        expected.cycles, expected.counters, expected.words_read, expected.words_written)
    assert (got.backend, got.macs, got.multipliers) == (expected.backend, expected.macs, expected.multipliers)
    assert found.verdict.bytes_compared == wanted.bytes_compared
    assert found.verdict.bytes_differing == 0
    assert {key: value.tolist() for key, value in found.verdict.outputs.items()} == {
        key: value.tolist() for key, value in wanted.outputs.items()}


def test_what_never_comes_to_the_same_state_is_an_estimate() -> None:
    """A graph in which each layer waits for the bus, so that no state repeats before the end."""
    network = random_on("tiny", 28)
    found, wanted = in_segments(network, some_cuts(network, 2)), unsegmented(network)
    assert not found.exact
    assert any(task["joins_at"] is None for task in found.tasks[:-1])
    assert found.verdict.report.cycles == pytest.approx(wanted.report.cycles, rel=0.5)
    assert found.verdict.report.cycles != wanted.report.cycles
    assert found.verdict.bytes_differing == 0


@dataclass(frozen=True)
class Runs:
    """A network in three segments, and their runs on the RTL."""

    network: Network
    segments: list[Segment]
    emulated: Emulated
    runs: list[Run]

    def compare(self, number: int, segment: Segment | None = None, start: State | None = None) -> Comparison:
        """Compares segment ``number``, with other instructions or another initial state, with the emulator."""
        own = self.segments[number]
        run = run_segment(self.network.program, segment or own, start or self.emulated.states[own.first], lambda _: None)
        judge = Judge(self.network.program, self.emulated.capture)
        return judge.compare(own, run, self.emulated.states[own.first], self.emulated.states[own.end])

    def whole(self, program: Program) -> Divergence | None:
        """The finding of the unsegmented comparison when the RTL runs ``program``."""
        device = RtlDevice(program.configuration)
        memory = self.network.memory()
        memory[program.code_address:program.code_address + program.instructions.size] = program.instructions
        memory[program.constants_address:program.constants_address + program.constants.size] = program.constants
        device.execute(program, memory)
        found = compare_writes(self.network.program, self.emulated.capture, *device.trace())
        device.close()
        return found.first


@pytest.fixture(scope="module")
def runs() -> Runs:
    network = digits_on("tiny")
    bounds = [0, *some_cuts(network, 2), network.flow.end]
    overlap = Overlap(network.flow)
    segments = [cut(network.flow, number, first, last, overlap.end(last) if last < network.flow.end else last)
                for number, (first, last) in enumerate(pairwise(bounds))]
    emulated = network.emulated(index for segment in segments for index in (segment.first, segment.end))
    done = [run_segment(network.program, segment, emulated.states[segment.first], lambda _: None) for segment in segments]
    return Runs(network, segments, emulated, done)


def changed(segment: Segment, index: int, **fields: int) -> Segment:
    """The segment with changed fields in instruction ``index``."""
    code = segment.instructions.copy().reshape(-1, INSTRUCTION_BYTES)
    number = segment.code_address // INSTRUCTION_BYTES + index
    code[index] = np.frombuffer(replace(decode(code[index].tobytes(), number), **fields).encode(number), np.uint8)
    return replace(segment, instructions=code.ravel())


def place(segment: Segment, kind: type[Instruction], again: bool = False) -> int:
    """The index of the first instruction of a kind in the segment; ``again``: in the part that refills the FIFOs."""
    code, first = segment.instructions.reshape(-1, INSTRUCTION_BYTES), segment.code_address // INSTRUCTION_BYTES
    low, high = (0, segment.first) if again else (segment.first, segment.last)
    return next(index for index, place in enumerate(segment.places.tolist())
                if low <= place < high and isinstance(decode(code[index].tobytes(), first + index), kind))


def with_instruction(program: Program, index: int, **fields: int) -> Program:
    """The program with changed fields in one instruction."""
    one = replace(list(program)[index], **fields)
    code = program.instructions.copy()
    code[index * INSTRUCTION_BYTES:][:INSTRUCTION_BYTES] = np.frombuffer(one.encode(program.first_index + index), np.uint8)
    return replace(program, instructions=code)


def test_undamaged_segments_differ_in_nothing(runs: Runs) -> None:
    for number in range(len(runs.segments)):
        assert runs.compare(number) == Comparison(0, 0, None)


@pytest.mark.parametrize("kind", [LoadWeights, LoadParameters])
def test_a_wrong_address_is_found_where_the_whole_run_finds_it(runs: Runs, kind: type[Instruction]) -> None:
    segment = runs.segments[1]
    index = place(segment, kind)
    program = runs.network.program
    original = int(segment.places[index])
    address = list(program)[original].address + 2 * program.configuration.size  # type: ignore[attr-defined]
    found = runs.compare(1, changed(segment, index, address=address))
    assert found.bytes_differing
    assert found.first == runs.whole(with_instruction(program, original, address=address))


def test_a_byte_of_weights_in_one_segments_memory_is_found_where_the_whole_run_finds_it(runs: Runs) -> None:
    program, segment = runs.network.program, runs.segments[1]
    size = program.configuration.size
    address = list(program)[int(segment.places[place(segment, LoadWeights)])].address  # type: ignore[attr-defined]
    constants = program.constants.copy()
    constants[address - program.constants_address] ^= 0x40
    word = constants.view(np.int8).reshape(-1, size)[(address - program.constants_address) // size]
    start = runs.emulated.states[segment.first]
    places = np.append(start.changes.places, address // size)
    order = np.argsort(places)
    damaged = Changes(places[order], np.concatenate([start.changes.words, word[None]])[order])
    found = runs.compare(1, start=replace(start, changes=damaged))
    assert found.bytes_differing
    assert found.first == runs.whole(replace(program, constants=constants))


def test_a_load_that_is_missing_at_the_beginning_is_found(runs: Runs) -> None:
    """Without the weights loaded before the segment, later weights arrive too early and are too few."""
    segment = runs.segments[1]
    index = place(segment, LoadWeights, again=True)
    code = np.delete(segment.instructions.reshape(-1, INSTRUCTION_BYTES), index, 0).ravel()
    seal(code, segment.code_address // INSTRUCTION_BYTES)
    with pytest.raises(RunError, match=rf"segment 1 \(instructions {segment.first} to {segment.end - 1} of the program\).*"
                                       "watchdog: no unit made progress"):
        runs.compare(1, replace(segment, instructions=code))


def test_a_wrong_word_among_what_is_loaded_again_is_found(runs: Runs) -> None:
    segment = runs.segments[1]
    index = place(segment, LoadWeights, again=True)
    found = runs.compare(1, changed(segment, index, address=0))
    assert found.first is not None
    assert segment.first <= found.first.instruction < segment.end
    assert found.first.tensor is not None


@pytest.mark.parametrize("word", ["read", "idle"])
def test_a_wrong_word_of_the_scratchpad_is_found(runs: Runs, word: str) -> None:
    """Of two wrong words, one shows in the segment's results, the other only in the final state."""
    segment, start = runs.segments[1], runs.emulated.states[runs.segments[1].first]
    written = {int(address) for index, addresses, _ in runs.emulated.capture.writes
               if segment.first <= index < segment.end for address in addresses}
    source = list(runs.network.program)[int(segment.places[place(segment, Convolve)])].source  # type: ignore[attr-defined]
    idle = next(index for index in range(len(start.scratchpad) - 1, -1, -1) if index not in written)
    scratchpad = start.scratchpad.copy()
    scratchpad[source if word == "read" else idle, 0] ^= 0x11
    found = runs.compare(1, start=replace(start, scratchpad=scratchpad))
    assert found.first is not None
    if word == "read":
        assert segment.first <= found.first.instruction < segment.end
    else:
        assert str(found.first).startswith(
            f"first difference at instruction {segment.end - 1} (word {idle} of the scratchpad after segment 1")
        assert found.bytes_differing == 1


def test_a_store_elsewhere_is_found_in_memory(runs: Runs) -> None:
    segment = runs.segments[2]
    index = place(segment, Store)
    program = runs.network.program
    one = list(program)[int(segment.places[index])]
    address = one.address + program.configuration.size  # type: ignore[attr-defined]
    found = runs.compare(2, changed(segment, index, address=address))
    assert found.first is not None
    assert found.first.text.startswith(f"memory at {one.address:#x} after segment 2")  # type: ignore[attr-defined]


def test_seams_are_where_the_digests_say(runs: Runs) -> None:
    merged = merge(runs.segments, runs.runs)
    assert merged.exact
    assert [seam.instruction for seam in merged.seams] == sorted(seam.instruction or 0 for seam in merged.seams)
    points = runs.runs[1].points.copy()
    points["digest"][:] = 0
    damaged = merge(runs.segments, [runs.runs[0], replace(runs.runs[1], points=points), runs.runs[2]])
    assert [seam.exact for seam in damaged.seams] == [False, False]
    later = runs.runs[1].points.copy()
    later["digest"][:8] = 0
    moved = merge(runs.segments, [runs.runs[0], replace(runs.runs[1], points=later), runs.runs[2]])
    assert moved.exact
    assert (moved.seams[0].instruction or 0) > (merged.seams[0].instruction or 0)
    assert np.array_equal(moved.events, merged.events)      # whichever boundaries are joined, the run is the same
