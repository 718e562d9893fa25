"""A proof about the queues of a netlist, which ``control_proof`` takes for granted."""

import re
from collections.abc import Callable, Iterator

from bit_logic import FALSE, TRUE, Graph
from control_proof import Subject
from netlist_logic import Multipliers, NetlistLogic

from arrayloom.sim.rtl.form import Ring
from arrayloom.sim.rtl.logic import is_clocked_read
from arrayloom.sim.rtl.netlist import Bit


def queue_failures(subject: Subject) -> list[str]:
    """The properties of the queues that fail, without which their words in order could differ between two runs.

    A word is written after the existing words, and a write changes only the pointer and the level that belong to it; the
    read pointer stays or advances by one. The words of a queue in order therefore depend on what is written and when it is
    read, and not on their position. The level is the distance of the pointers; if it is no register of its own, a queue
    that overflows its memory is compared as a whole memory.
    """
    graph = Graph()
    side = NetlistLogic(graph, subject.logic, Multipliers(graph), lambda _: graph.variable())
    memories = re.findall(r"memory (?:width \d+ )?size (\d+) (\S+)", subject.netlist.text())
    depths = {name: int(depth) for depth, name in memories}
    obligations = {}
    for ring in subject.form.rings:
        prove = _Queue(subject, side, ring, depths[ring.memory])
        obligations |= {f"{ring.memory}: {name}": holds ^ 1 for name, holds in prove.obligations()}
    return [name for name, fails in obligations.items() if graph.satisfiable(fails)]


class _Queue:
    def __init__(self, subject: Subject, side: NetlistLogic, ring: Ring, depth: int) -> None:
        (write,), (read,) = subject.logic.writers[ring.memory], subject.logic.readers[ring.memory]
        self.graph, self.side, self.depth = side.graph, side, depth
        self.push = side.literal(write.ports["EN"][0])
        self.read = side.control(read, "EN") if is_clocked_read(read) else None
        fields = [subject.bits(field) for field in ring.level]
        self.level = fields[0] if len(fields) == 1 else None
        self.filled = subject.bits(ring.filled)[0] if ring.filled else None
        places = [read.ports["ADDR"], write.ports["ADDR"]] if self.level else [fields[1], fields[0]]
        self.width = max(map(len, (*places, self.level or ()))) + 2 if self.level else len(places[0])
        self.first, self.behind = places
        self.now, self.then = (self._state(side.literal), self._state(side.next))

    def obligations(self) -> Iterator[tuple[str, int]]:
        graph, now, then = self.graph, self.now, self.then
        pop = graph.equal(then["first"], now["first"]) ^ 1
        up = self._up(now["first"])
        yield "the read pointer goes on by one", graph.disjunction(pop ^ 1, graph.equal(then["first"], up))
        moved = [graph.choice(self.push, a, b) for a, b in zip(self._up(now["behind"]), now["behind"], strict=True)]
        graph.assert_clause([self._consistent(now)])
        yield "the write pointer goes on by one with a word", graph.equal(then["behind"], moved)
        yield "the pointers keep their distance", self._consistent(then)
        if self.read is not None:
            yield "a word is read when the pointer goes on", graph.difference(self.read, pop) ^ 1
        if self.level:
            none, all_ = (graph.equal(now["level"], graph.number(count, self.width)) for count in (0, self.depth))
            yield "nothing is read from an empty queue", graph.conjunction(pop, none) ^ 1
            yield "nothing is written to a full queue", graph.conjunction(self.push, all_) ^ 1
        else:
            some, one = self.side.literal(self.filled), self._distance_is(now, 1)
            empties = graph.every([pop, self.push ^ 1, one])
            yield "nothing is read from an empty queue", graph.conjunction(pop, some ^ 1) ^ 1
            yield "the last word leaves nothing", graph.conjunction(empties, self.side.next(self.filled)) ^ 1

    def _state(self, value: Callable[[Bit], int]) -> dict[str, list[int]]:
        wide = {"first": self.first, "behind": self.behind, "level": self.level or []}
        state = {name: [value(bit) for bit in bits] for name, bits in wide.items()}
        state = {name: [*bits, *[FALSE] * (self.width - len(bits))] for name, bits in state.items()}
        return state | {"filled": [value(self.filled)] if self.filled else []}

    def _up(self, place: list[int]) -> list[int]:
        graph = self.graph
        more = graph.sum(place, graph.number(1, self.width))
        if self.level is None:
            return more
        last = graph.equal(place, graph.number(self.depth - 1, self.width))
        return [graph.conjunction(last ^ 1, bit) for bit in more]

    def _distance_is(self, state: dict[str, list[int]], count: int) -> int:
        return self.graph.equal(state["behind"], self.graph.sum(state["first"], self.graph.number(count, self.width)))

    def _consistent(self, state: dict[str, list[int]]) -> int:
        """The level equals the distance of the pointers, which are within the memory; or it is zero for an empty queue."""
        graph = self.graph
        if self.level is None:
            return graph.disjunction(state["filled"][0], self._distance_is(state, 0))
        depth = graph.number(self.depth, self.width)
        ahead = graph.sum(state["first"], state["level"])
        around = graph.sum(ahead, [bit ^ 1 for bit in depth], TRUE)
        place = [graph.choice(graph.less(ahead, depth), a, b) for a, b in zip(ahead, around, strict=True)]
        return graph.every([graph.less(state["first"], depth), graph.less(state["behind"], depth),
                            graph.less(depth, state["level"]) ^ 1, graph.equal(place, state["behind"])])
