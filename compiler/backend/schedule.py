"""The program's instructions in order: group by group, turn by turn."""

from collections.abc import Iterator
from dataclasses import dataclass

from arrayloom.compiler.backend.context import Site
from arrayloom.compiler.backend.followers import Follower, Rows
from arrayloom.compiler.backend.groups import Group
from arrayloom.compiler.backend.layouts import home
from arrayloom.compiler.backend.lower import writer_of
from arrayloom.compiler.backend.lower.writer import Progress
from arrayloom.compiler.backend.tiling import Passage
from arrayloom.isa.instructions import End


def schedule(site: Site) -> None:
    """Writes the whole program."""
    finished = _last_writers(site)
    for index, group in enumerate(site.placement.groups):
        _Section(site, group, index).write()
        for name in sorted(site.network.kept()):
            if finished.get(home(site.network, name)[0]) == index:
                area = site.area(name)
                site.store(name, area, 0, area.blocks, 0, area.rows)
    site.stream.add(End, {})


def _last_writers(site: Site) -> dict[str, int]:
    """The last group that writes into each tensor with a place on chip."""
    last = {}
    for index, group in enumerate(site.placement.groups):
        for number in group.steps:
            outer = home(site.network, site.network.steps[number].output)[0]
            if outer in site.placement.chip:
                last[outer] = index
    return last


class _Section:
    """The instructions of one group."""

    def __init__(self, site: Site, group: Group, index: int) -> None:
        self.site, self.step = site, site.network.steps[group.lead]
        site.stream.step = group.lead
        self.passage = Passage(site, self.step, *site.placement.arenas.get(index, ()))
        self.rows = Rows(site)
        self.rows.open(self.step)
        self.followers = [Follower(site, number, self.rows) for number in group.followers]
        self.writer = writer_of(site, self.step)
        self.slack = 0

    def write(self) -> None:
        _exhaust(self.passage.load(0))
        for turn in self.passage.turns:
            load = self.passage.load(turn.number + 1)
            room = Room()
            for progress in self.writer.run(self.passage.operands(turn), turn.blocks, turn.first, turn.last):
                if self.passage.overlaps:
                    room.use(load, progress)
                self.rows.set(self.step.output, progress.block, progress.rows)
                self._advance(progress)
            self.passage.store(turn)
            _exhaust(load)
        self.writer.finish()
        for follower in self.followers:
            follower.finish()

    def _advance(self, progress: Progress) -> None:
        """Lets the followers use the cycles that the lead leaves to the POST unit; those left unused are gone."""
        self.slack = min(self.slack, 0) + progress.cycles - progress.post
        for follower in self.followers:
            self.slack = follower.advance(self.slack, progress.cycles)


@dataclass
class Room:
    """Words that the bus has room for beside the weights, while a band is computed."""

    words: int | None = None

    def use(self, load: Iterator[int], progress: Progress) -> None:
        """Loads as much of the next band as there is room for; nothing during the first piece, so that a load which
        waits for its buffer does not hold up the weights of the second."""
        if self.words is None:
            self.words = 0
            return
        self.words = min(self.words, 0) + progress.cycles - progress.loaded
        while self.words > 0:
            slice_words = next(load, None)
            if slice_words is None:
                return
            self.words -= slice_words


def _exhaust(pieces: Iterator[int]) -> None:
    """Lets a generator write all that it has left."""
    for _ in pieces:
        pass
