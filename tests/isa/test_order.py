"""The hazard check reports exactly the accesses that no order of events excludes, for all pairs in short random programs."""

import pytest
from all_orders import Pair, random_program, unordered
from latency_programs import program_of

from arrayloom.isa.config import PRESETS
from arrayloom.isa.fields import Instruction
from arrayloom.isa.hazards import Finding, Hazard, find_hazards

TINY = PRESETS["tiny"]
SEEDS = range(400)


def _expected(pairs: set[Pair], instructions: list[Instruction]) -> set[Finding]:
    """For each instruction the latest one of each unit, with the first and the last word that both access."""
    words: dict[tuple[int, str, str, object], dict[int, list[int]]] = {}
    for later, earlier, hazard, place, word in pairs:
        words.setdefault((later, hazard, place, instructions[earlier].UNIT), {}).setdefault(earlier, []).append(word)
    return {Finding(Hazard(hazard), later, max(found), place, min(found[max(found)]), max(found[max(found)]))
            for (later, hazard, place, _), found in words.items()}


@pytest.mark.parametrize("forward", [False, True])
def test_findings_are_the_pairs_that_nothing_orders(forward: bool) -> None:
    seen = {"unordered": 0, "ordered": 0, "circle": 0}
    for seed in SEEDS:
        instructions = random_program(seed, TINY.size, forward=forward)
        pairs, circle = unordered(instructions, TINY.size)
        found = set(find_hazards(program_of(TINY, instructions)))
        assert circle == any(one.hazard is Hazard.CIRCLE for one in found), seed
        if not circle:
            assert found == _expected(pairs, instructions), seed
        seen["circle" if circle else "unordered" if pairs else "ordered"] += 1
    assert min(seen.values()) > 10
