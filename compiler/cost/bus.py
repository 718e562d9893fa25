"""The memory bus, and how transfers are cut into bursts."""

from collections import deque
from collections.abc import Iterator

from arrayloom.compiler.cost.timing import ADDRESS_CYCLES, ADDRESS_LATENCY, MEMORY_LATENCY, OUTSTANDING, PAGE_BYTES


class ReadBus:
    """The read channels, shared by FETCH and LOAD; requests must come in order of time."""

    def __init__(self) -> None:
        self.words = 0
        self.end = 0        # the last beat asked for so far
        self._free = 0
        self._ends: deque[int] = deque([0] * OUTSTANDING, OUTSTANDING)

    def request(self, time: int, words: int) -> tuple[int, int]:
        """The cycles in which a burst that is asked for at ``time`` is accepted and in which its first beat comes."""
        accepted = max(time, self._free, self._ends[0])
        first = max(accepted + ADDRESS_LATENCY + MEMORY_LATENCY, self.end + 1)
        self._free = accepted + ADDRESS_CYCLES
        self.end = first + words - 1
        self._ends.append(self.end)
        self.words += words
        return accepted, first


def cut(address: int, words: int, rows: int, pitch: int, longest: int, size: int) -> Iterator[int]:
    """The words of each burst of ``rows`` runs of ``words`` words; ``address`` in bytes, ``pitch`` in words."""
    page = PAGE_BYTES // size
    for row in range(rows):
        place, left = address // size + row * pitch, words
        while left:
            burst = min(longest, left, page - place % page)
            yield burst
            place, left = place + burst, left - burst
