"""Attention written together: scores, softmax and mixture of a layer.

While the array makes the scores of a block of queries, the ATTENTION unit works on the softmax of the block before and turns
that of the block before again; the array mixes the values of a head among the scores of the next. Weights are fed a piece
ahead, so that the array need not wait for what the ATTENTION unit does first.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from arrayloom.compiler.backend.attention import (
    TURNED,
    AttentionOperation,
    MixtureOperation,
    ScoresOperation,
    SoftmaxOperation,
)
from arrayloom.compiler.backend.context import LoweringContext
from arrayloom.compiler.backend.groups import Group
from arrayloom.compiler.backend.lower.attention import MixtureWriter, ScoresWriter
from arrayloom.compiler.backend.lower.normalization import SoftmaxWriter
from arrayloom.compiler.backend.lower.writer import Piece
from arrayloom.compiler.backend.steps import Network

Act = Callable[[], None]


@dataclass
class _Job:
    """What the array does next: its weights are fed, then it is computed, then something follows."""

    feed: Act
    compute: Act
    after: list[Act]


def _nothing() -> None:
    """The feeding and computing of a job that consists only of what follows."""


def is_chain(network: Network, group: Group) -> bool:
    """Whether a group is the attention of a layer."""
    kinds = [type(network.steps[index].operation) for index in group.steps]
    return kinds == [ScoresOperation, SoftmaxOperation, MixtureOperation]


def is_attention(network: Network, group: Group) -> bool:
    """Whether a group is a part of it, whose steps follow one another."""
    return isinstance(network.steps[group.lead].operation, AttentionOperation)


def write_chain(contexts: list[LoweringContext]) -> None:
    """Writes the steps of such a group."""
    chain = _Chain(contexts)
    jobs = list(chain.jobs())
    for number, job in enumerate(jobs):
        if number == 0:
            job.feed()
        if number + 1 < len(jobs):
            jobs[number + 1].feed()
        job.compute()
        for act in job.after:
            act()
    for writer in (chain.scores, chain.softmax, chain.mixture):
        writer.finish()


class _Chain:
    def __init__(self, contexts: list[LoweringContext]) -> None:
        operations = [context.step.operation for context in contexts]
        scores, softmax, mixture = operations
        assert isinstance(scores, ScoresOperation)
        assert isinstance(softmax, SoftmaxOperation)
        assert isinstance(mixture, MixtureOperation)
        self.scores, self.softmax = ScoresWriter(contexts[0], scores), SoftmaxWriter(contexts[1], softmax)
        self.mixture = MixtureWriter(contexts[2], mixture)
        self.of_scores, self.of_softmax, self.of_mixture = (context.operands() for context in contexts)
        self.heads, self.blocks = scores.heads, self.of_scores.y.blocks

    def jobs(self) -> Iterator[_Job]:
        """The array's work in order: pieces of the mixture of a head come among the scores of the next."""
        items = [(head, block) for head in range(self.heads) for block in range(self.blocks)]
        waiting: deque[tuple[int, _Job]] = deque()      # pieces of mixtures, with their heads
        each = -(-len(self.mixture.pieces(self.of_mixture, 0)) // max(1, self.blocks - TURNED))
        for number, (head, block) in enumerate(items):
            turned = items[number - 2] if number > 1 else None
            if turned is not None:      # which takes the room of the head two before
                yield from self._due(waiting, turned[0] - TURNED)
            yield self._scores(head, block, items[number - 1] if number else None, turned)
            if number > 1 and turned is not None and turned[1] == self.blocks - 1:
                waiting += [(turned[0], self._mixture(turned[0], piece))
                            for piece in self.mixture.pieces(self.of_mixture, turned[0])]
            for _ in range(min(each, len(waiting))):
                yield waiting.popleft()[1]
        yield from self._last(items, waiting)

    def _last(self, items: list[tuple[int, int]], waiting: deque[tuple[int, _Job]]) -> Iterator[_Job]:
        """The rest of the mixtures; what follows the last scores goes before the first of them."""
        yield from self._due(waiting, items[-1][0] - TURNED)
        before = items[-2] if len(items) > 1 else None
        yield _Job(_nothing, _nothing, [lambda: self._follow(items[-1], before), lambda: self._follow(None, items[-1])])
        yield from self._due(waiting, items[-1][0])
        for head in {head: None for head, block in items[-2:] if block == self.blocks - 1}:
            for piece in self.mixture.pieces(self.of_mixture, head):
                yield self._mixture(head, piece)

    @staticmethod
    def _due(waiting: deque[tuple[int, _Job]], head: int) -> Iterator[_Job]:
        """The pieces of mixtures of all heads up to one."""
        while waiting and waiting[0][0] <= head:
            yield waiting.popleft()[1]

    def _scores(self, head: int, block: int, softmax: tuple[int, int] | None, turned: tuple[int, int] | None) -> _Job:
        piece = Piece(block, head, 0, 1, self.of_scores.y.columns)
        return _Job(lambda: self.scores.feed_piece(self.of_scores, piece),
                    lambda: self.scores.multiply(self.of_scores, piece), [lambda: self._follow(softmax, turned)])

    def _mixture(self, head: int, piece: Piece) -> _Job:
        return _Job(lambda: self.mixture.feed_piece(self.of_mixture, piece),
                    lambda: self.mixture.multiply(self.of_mixture, head, piece), [])

    def _follow(self, softmax: tuple[int, int] | None, turned: tuple[int, int] | None) -> None:
        """The softmax of one block of a head, and the turn of another."""
        if softmax is not None:
            head, block = softmax
            self.softmax.write_piece(self.of_softmax, Piece(block, head, 0, 1, self.of_softmax.y.columns))
        if turned is not None:
            self.mixture.turn(self.of_mixture.x, *turned)
