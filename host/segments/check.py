"""Comparison of a segment's run with the emulator: every word written by POST, and the final scratchpad and memory."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.segments.run import Run
from arrayloom.host.segments.segment import Segment
from arrayloom.host.segments.state import State
from arrayloom.isa.accesses import distinct
from arrayloom.isa.program import Program
from arrayloom.sim.compare import Comparison, Divergence, compare_writes, place_of
from arrayloom.sim.emulator import Capture

Words = NDArray[np.int8]
Place = tuple[int, str, str | None, tuple[int, int, int] | None]    # the first fields of ``Divergence``


@dataclass(frozen=True)
class Judge:
    """Compares runs of segments of ``program`` with ``capture``, the emulator's results for the same image."""

    program: Program
    capture: Capture

    def compare(self, segment: Segment, run: Run, start: State, end: State) -> Comparison:
        """The differences between the run of a segment and the emulator, from state ``start`` to state ``end``.

        If words of the POST unit differ, final scratchpad and memory differ too; those are compared only if all words are
        equal.
        """
        return next((found for found in (self._writes(segment, run), self._own(segment, run, start, end),
                                         self._scratchpad(segment, run, end), self._memory(segment, run, start, end))
                     if found.bytes_differing), Comparison(0, 0, None))

    def _writes(self, segment: Segment, run: Run) -> Comparison:
        begin, end = segment.own_posts
        stop = max(begin, len(run.writes.words) - end)
        writes = [write for write in self.capture.writes if segment.first <= write[0] < segment.end]
        return compare_writes(self.program, Capture(self.capture.results, writes), run.writes.addresses[begin:stop],
                              run.writes.words[begin:stop])

    def _own(self, segment: Segment, run: Run, start: State, end: State) -> Comparison:
        """The word that the segment's own instructions write back, before and after all others."""
        words, (before, after) = run.writes.words, segment.own_posts
        places = np.r_[:before, len(words) - after:len(words)]
        expected = np.concatenate([np.repeat(state.scratchpad[segment.word][None], count, 0)
                                   for state, count in ((start, before), (end, after))])
        unequal = words[places] != expected
        unequal |= (run.writes.addresses[places] != segment.word)[:, None]
        return _found(unequal, expected, words[places], lambda *_: (
            segment.end - 1, f"word {segment.word} of the scratchpad, read and written back by {segment}", None, None))

    def _scratchpad(self, segment: Segment, run: Run, end: State) -> Comparison:
        return _found(run.scratchpad != end.scratchpad, end.scratchpad, run.scratchpad,
                      lambda word, lane: self._word(segment, word, lane))

    def _memory(self, segment: Segment, run: Run, start: State, end: State) -> Comparison:
        size = self.program.configuration.size
        changed = [changes.places for changes in (start.changes, end.changes, run.changes)]
        places = distinct(np.sort(np.concatenate(changed)))
        places = places[places != segment.scratch // size]
        fresh = segment.memory(self.program).view(np.int8).reshape(-1, size)[places]
        expected = end.changes.at(places, fresh)
        got = run.changes.at(places, start.changes.at(places, fresh))
        return _found(got != expected, expected, got, lambda index, lane: (
            segment.end - 1, f"memory at {int(places[index]) * size + lane:#x} after {segment}", None, None))

    def _word(self, segment: Segment, word: int, lane: int) -> Place:
        """Describes a byte of the final scratchpad."""
        seen = f"word {word} of the scratchpad after {segment}"
        for instruction, addresses, _ in reversed(self.capture.writes):
            if instruction < segment.end and (pixels := np.flatnonzero(addresses == word)).size:
                return (segment.end - 1, f"{seen}, written last by instruction {instruction}",
                        *place_of(self.program, self.capture, instruction, int(pixels[-1]), lane))
        return segment.end - 1, seen, None, None


def _found(unequal: NDArray[np.bool_], expected: Words, got: Words, place: Callable[[int, int], Place]) -> Comparison:
    """Compares [n, size] bytes; ``place`` describes the byte at a row and column."""
    if not unequal.any():
        return Comparison(unequal.size, 0, None)
    row, column = (int(each) for each in np.argwhere(unequal)[0])
    first = Divergence(*place(row, column), int(expected[row, column]), int(got[row, column]))
    return Comparison(unequal.size, int(unequal.sum()), first)
