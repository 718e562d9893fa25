"""Segments as programs on the emulator: the same effect as in the whole program, and nothing left over."""

from dataclasses import replace

import numpy as np
import pytest
from segments import Network, digits_on, mobile, random_on

from arrayloom.host.segments.errors import SegmentError
from arrayloom.host.segments.flow import Flow
from arrayloom.host.segments.idle import Idle, count_giving
from arrayloom.host.segments.segment import OWN, cut
from arrayloom.host.segments.state import Changes
from arrayloom.isa.config import PRESETS
from arrayloom.isa.fields import CORE_UNITS, INSTRUCTION_BYTES, Unit, encode_all
from arrayloom.isa.instructions import End
from arrayloom.sim.emulator import Emulator

PAIRS = 12      # segments tried per network

NETWORKS = {
    "digits, tiny": lambda: digits_on("tiny"), "digits, edge": lambda: digits_on("edge"),
    "random, tables": lambda: random_on("tiny", 18), "random, pools": lambda: random_on("tiny", 29),
    "random, tokens": lambda: random_on("tiny", 53), "random, stores": lambda: random_on("edge", 23),
    "mobile": mobile,
}


@pytest.fixture(scope="module", params=NETWORKS)
def network(request: pytest.FixtureRequest) -> Network:
    return NETWORKS[request.param]()


def bounds(network: Network, seed: int = 0) -> list[tuple[int, int]]:
    """First and end instructions of segments of any length."""
    rng, cuts = np.random.default_rng(seed), [0, *network.cuts(), network.flow.end]
    return [(int(first), int(end)) for first, end in (sorted(rng.choice(cuts, 2, replace=False)) for _ in range(PAIRS))]


def test_a_segment_does_what_its_instructions_do(network: Network) -> None:
    program, pairs = network.program, bounds(network)
    whole = network.emulated(index for pair in pairs for index in pair)
    for first, end in pairs:
        segment = cut(network.flow, 0, first, end, end)
        start, stop = whole.states[first], whole.states[end]
        memory, scratchpad = segment.memory(program), start.scratchpad.copy()
        start.changes.apply(memory)
        emulator = Emulator(segment.program(program), program.configuration)
        emulator.execute(memory, True, scratchpad=scratchpad)       # raises if anything is left over
        assert np.array_equal(scratchpad, stop.scratchpad), segment
        wanted = segment.memory(program)
        stop.changes.apply(wanted)
        changed = Changes.between(wanted, memory, program.configuration.size).places
        assert set(changed.tolist()) <= {segment.scratch // program.configuration.size}, segment
        writes = [write for write in whole.capture.writes if first <= write[0] < end]
        found = [(int(segment.places[index]), addresses, words) for index, addresses, words in emulator.capture.writes]
        assert segment.posts.tolist() == [index for index, *_ in found]
        own = [(addresses, words) for index, addresses, words in found if index == OWN]
        assert all((addresses == segment.word).all() for addresses, _ in own)
        for expected, got in zip(writes, (each for each in found if each[0] != OWN), strict=True):
            assert expected[0] == got[0]
            assert np.array_equal(expected[1], got[1])
            assert np.array_equal(expected[2], got[2])


def test_instructions_keep_their_addresses_up_to_what_the_end_takes(network: Network) -> None:
    program = network.program
    for first, end in bounds(network, seed=1):
        segment = cut(network.flow, 0, first, end, end)
        same = slice(*(program.code_address + index * INSTRUCTION_BYTES for index in (first, network.flow.open_from(end))))
        assert np.array_equal(segment.memory(program)[same], program.instructions[same]), segment
        assert segment.code_address % program.configuration.size == 0


def test_the_whole_program_is_a_segment(network: Network) -> None:
    end = network.flow.end
    segment = cut(network.flow, 0, 0, end, end)
    assert np.array_equal(segment.instructions, network.program.instructions)
    assert segment.layers == [layer for layer in network.program.layers if layer.first < layer.last]


def test_layers_are_where_their_instructions_are(network: Network) -> None:
    names = {index: layer.name for layer in reversed(network.program.layers) for index in layer.instructions}
    for first, end in bounds(network, seed=2)[:6]:
        segment = cut(network.flow, 0, first, end, end)
        found = {index: layer.name for layer in reversed(segment.layers) for index in layer.instructions}
        for index, place in enumerate(segment.places.tolist()):
            assert found.get(index) == (names.get(place) if first <= place < end else None)


def test_where_no_segment_can_begin_or_end() -> None:
    network = random_on("tiny", 18)
    flow = network.flow
    filled = next(index for index in range(flow.end) if not flow.quiet[index])
    used = next(index for index in range(flow.end) if flow.quiet[index] and not flow.closed[index])
    for first, end in ((filled, flow.end), (0, filled), (0, used), (1, flow.end), (0, flow.end + 1)):
        with pytest.raises(SegmentError, match=f"a segment of instructions {first} to {end} of {flow.end}"):
            cut(flow, 0, first, end, end)


def test_a_program_without_an_end_cannot_be_cut() -> None:
    program = digits_on("tiny").program
    program.instructions = program.instructions[:-INSTRUCTION_BYTES]
    with pytest.raises(SegmentError, match="without an end"):
        Flow(program)


@pytest.mark.parametrize("config", ["tiny", "edge", "16x16", "32x32", "64x64", "16x16-mobile"])
@pytest.mark.parametrize("tokens", [
    {(Unit.ARRAY, Unit.POST): 3, (Unit.ARRAY, Unit.LOAD): 1}, {(Unit.LOAD, Unit.ARRAY): 4}, {(Unit.STORE, Unit.POST): 2},
    {(Unit.POST, Unit.ARRAY): 1, (Unit.POST, Unit.STORE): 2},
    {(giver, taker): 1 + (2 * giver + taker) % 3 for giver in CORE_UNITS for taker in CORE_UNITS if giver is not taker},
], ids=str)
def test_idle_instructions_give_and_take_tokens_and_change_nothing(config: str,
                                                                   tokens: dict[tuple[Unit, Unit], int]) -> None:
    program = digits_on("tiny").program
    chosen = PRESETS[config]
    if Unit.DEPTHWISE in chosen.units:
        tokens = tokens | {(Unit.DEPTHWISE, Unit.POST): 3, (Unit.LOAD, Unit.DEPTHWISE): 1, (Unit.DEPTHWISE, Unit.LOAD): 1}
    idle = Idle(chosen, 5, 1 << 16)
    giving = idle.giving(tokens)
    assert len(giving) == count_giving(tokens)
    code = [*giving, *idle.taking(tokens), End()]
    program = replace(program, configuration=chosen, memory_bytes=1 << 17, constants=program.constants[:0], layers=[],
                      instructions=encode_all(list(code)))
    rng = np.random.default_rng(3)
    scratchpad = rng.integers(-128, 128, (chosen.activation_words, chosen.size)).astype(np.int8)
    memory = rng.integers(0, 256, 1 << 17).astype(np.uint8)
    kept, before = scratchpad.copy(), memory.copy()
    Emulator(program, chosen).execute(memory, False, scratchpad=scratchpad)
    assert np.array_equal(scratchpad, kept)
    assert set(Changes.between(before, memory, chosen.size).places.tolist()) <= {idle.address // chosen.size}
