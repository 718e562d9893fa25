"""Random short programs, and a slow, plain check by reachability between events for accesses that no token orders."""

import random
from itertools import pairwise

from arrayloom.isa.fields import Instruction, Unit
from arrayloom.isa.instructions import (
    Convolve,
    Depthwise,
    Drain,
    DrainDepthwise,
    Elementwise,
    LoadActivations,
    LoadWeights,
    Pool,
    PostInstruction,
    ResidualInstruction,
    Store,
)

Words = set[tuple[str, int]]                # scratchpad or memory, and the word's number
Pair = tuple[int, int, str, str, int]       # later, earlier, hazard, place, word


def random_program(seed: int, size: int, *, forward: bool) -> list[Instruction]:
    """A random program whose instructions share few words; ``forward``: tokens may come from later instructions."""
    draw = random.Random(seed)
    instructions = [_random_instruction(draw, size) for _ in range(draw.randint(3, 14))]
    count = len(instructions)
    wait, signal = [0] * count, [0] * count
    for index, taker in enumerate(instructions):
        for producer in Unit:
            if draw.random() > 0.35:
                continue
            givers = [k for k in range(count if forward else index)
                      if instructions[k].UNIT is producer and not signal[k] >> taker.UNIT & 1]
            if producer is taker.UNIT:
                wait[index] |= 1 << producer
            elif givers:
                signal[draw.choice(givers)] |= 1 << taker.UNIT
                wait[index] |= 1 << producer
    return [one.changed(wait=wait[k], signal=signal[k]) for k, one in enumerate(instructions)]


def _random_instruction(draw: random.Random, size: int) -> Instruction:
    few, word, address = draw.randint, draw.randrange(60), 0x800 + draw.randrange(40) * size
    transfer = {"address": address, "words": few(1, 4), "rows": few(1, 3), "memory_pitch": few(0, 6),
                "chip_pitch": few(0, 9)}
    region = {"destination": draw.randrange(60), "destination_pitch": few(1, 9), "height": few(1, 2), "width": few(1, 4)}
    window = {"source": word, "row_pitch": few(1, 9), "source_height": few(1, 4), "source_width": few(1, 5),
              "origin_y": few(-2, 1), "origin_x": few(-2, 1), "height": few(1, 3), "width": few(1, 3),
              "stride_y": few(1, 2), "stride_x": few(1, 3), "dilation_x": few(1, 2), "taps_y": few(1, 3),
              "taps_x": few(1, 3)}
    residual = {"add": few(0, 1), "residual": draw.randrange(60), "residual_pitch": few(1, 9)}
    convolve = Convolve(**window, blocks=few(1, 2), plane_pitch=few(0, 20), first=1, last=few(0, 3) > 0)
    return draw.choice([
        LoadWeights(address=address, words=size), LoadActivations(**transfer, destination=word),
        Store(**transfer, source=word), convolve, convolve, Drain(**region, **residual),
        Elementwise(**region, **residual, source=word, source_pitch=few(1, 9)), Pool(**(region | window))])


def unordered(instructions: list[Instruction], size: int) -> tuple[set[Pair], bool]:
    """All unordered pairs with each of their words; and whether instructions wait for one another in a cycle."""
    after = _after(_edges(instructions))
    touched = [_touched(one, size) for one in instructions]
    found: set[Pair] = set()
    for later, (reads, writes) in enumerate(touched):
        for earlier, (read, written) in enumerate(touched[:later]):
            if after[3 * earlier + 2] >> (3 * later + 1) & 1:
                continue
            own = instructions[earlier].UNIT is instructions[later].UNIT
            kinds = {"read after write": reads & written, "write after read": set() if own else writes & read,
                     "write after write": set() if own else writes & written}
            found |= {(later, earlier, kind, *word) for kind, words in kinds.items() for word in words}
    return found, any(events >> event & 1 for event, events in enumerate(after))


def _edges(instructions: list[Instruction]) -> list[list[int]]:
    """The direct successors of events 3k, 3k + 1 and 3k + 2: instruction k begins, accesses its words, and completes."""
    edges: list[list[int]] = [[event + 1] if event % 3 < 2 else [] for event in range(3 * len(instructions))]
    queues = {unit: [k for k, one in enumerate(instructions) if one.UNIT is unit] for unit in Unit}
    for unit, queue in queues.items():
        for one, two in pairwise(queue):
            edges[3 * one].append(3 * two)
            edges[3 * one + 2].append(3 * two + 2)
            if instructions[two].wait >> unit & 1:
                edges[3 * one + 2].append(3 * two)
        for consumer in set(Unit) - {unit}:
            givers = [k for k in queue if instructions[k].signal >> consumer & 1]
            takers = [k for k in queues[consumer] if instructions[k].wait >> unit & 1]
            for one, two in zip(givers, takers, strict=True):
                edges[3 * one + 2].append(3 * two)
    for depthwise in (False, True):
        filling = [k for k, one in enumerate(instructions)
                   if (isinstance(one, Depthwise) if depthwise else isinstance(one, Convolve) and one.last)]
        drains = [k for k, one in enumerate(instructions)
                  if isinstance(one, Drain) and isinstance(one, DrainDepthwise) is depthwise]
        for one, two in zip(filling, drains, strict=False):
            edges[3 * one + 2].append(3 * two + 1)
    return edges


def _after(edges: list[list[int]]) -> list[int]:
    """For each event, the set of events after it, as a bit mask."""
    after, former = [0] * len(edges), [-1]
    while after != former:
        former = list(after)
        for event in reversed(range(len(edges))):
            for successor in edges[event]:
                after[event] |= after[successor] | 1 << successor
    return after


def _touched(one: Instruction, size: int) -> tuple[Words, Words]:
    """The words that the instruction reads, and those that it writes."""
    if isinstance(one, LoadWeights):
        return _run("memory", one.address // size, 0, 1, one.words), set()
    if isinstance(one, LoadActivations | Store):
        memory = _run("memory", one.address // size, one.memory_pitch, one.rows, one.words)
        first = one.destination if isinstance(one, LoadActivations) else one.source
        chip = _run("scratchpad", first, one.chip_pitch, one.rows, one.words)
        return (memory, chip) if isinstance(one, LoadActivations) else (chip, memory)
    reads: Words = set()
    if isinstance(one, Convolve | Pool):
        planes = [b * one.plane_pitch for b in range(one.blocks)] if isinstance(one, Convolve) else [0]
        reads |= {("scratchpad", one.source + plane + y * one.row_pitch + x) for plane in planes
                  for y in _under(one.origin_y, one.stride_y, one.height, one.dilation_y, one.taps_y, one.source_height)
                  for x in _under(one.origin_x, one.stride_x, one.width, one.dilation_x, one.taps_x, one.source_width)}
    if isinstance(one, Elementwise):
        reads |= _run("scratchpad", one.source, one.source_pitch, one.height, one.width)
    if isinstance(one, ResidualInstruction) and one.add:
        reads |= _run("scratchpad", one.residual, one.residual_pitch, one.height, one.width)
    if not isinstance(one, PostInstruction):
        return reads, set()
    return reads, _run("scratchpad", one.destination, one.destination_pitch, one.height, one.width)


def _under(origin: int, stride: int, count: int, dilation: int, taps: int, extent: int) -> set[int]:
    places = {origin + output * stride + tap * dilation for output in range(count) for tap in range(taps)}
    return {place for place in places if 0 <= place < extent}


def _run(place: str, first: int, pitch: int, rows: int, words: int) -> Words:
    return {(place, first + row * pitch + word) for row in range(rows) for word in range(words)}
