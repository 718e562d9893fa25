"""The interleaved schedule of a layer's attention: scores, softmax and mixture.

While the array computes the scores of one block of queries, the ATTENTION unit computes the softmax of the previous block
and transposes that of the block before it. The array computes the mixture of a head between the scores of the next head.
The weights of a job are fed one job early, so that the array does not wait for other work of the ATTENTION unit.
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
    """A job of the array: ``feed`` writes the feeding of its weights, ``compute`` the product, ``after`` what follows."""

    feed: Act
    compute: Act
    after: list[Act]


def _nothing() -> None:
    """Writes nothing: for a job that has only ``after``."""


def is_chain(network: Network, group: Group) -> bool:
    """Whether a group consists of scores, softmax and mixture, which are interleaved."""
    kinds = [type(network.steps[index].operation) for index in group.steps]
    return kinds == [ScoresOperation, SoftmaxOperation, MixtureOperation]


def is_attention(network: Network, group: Group) -> bool:
    """Whether a group is led by an operation of attention, whose steps are written one after the other."""
    return isinstance(network.steps[group.lead].operation, AttentionOperation)


def write_chain(contexts: list[LoweringContext]) -> None:
    """Writes the instructions of a group for which ``is_chain`` holds; ``contexts`` are those of its steps, in order."""
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
        """Yields the array's jobs in order, with the mixture of a head distributed over the scores of the next head."""
        items = [(head, block) for head in range(self.heads) for block in range(self.blocks)]
        waiting: deque[tuple[int, _Job]] = deque()      # pieces of mixtures that may be written, each with its head
        each = -(-len(self.mixture.pieces(self.of_mixture, 0)) // max(1, self.blocks - TURNED))
        for number, (head, block) in enumerate(items):
            turned = items[number - 2] if number > 1 else None
            if turned is not None:      # it overwrites the buffer of the head that is TURNED heads earlier
                yield from self._due(waiting, turned[0] - TURNED)
            yield self._scores(head, block, items[number - 1] if number else None, turned)
            if number > 1 and turned is not None and turned[1] == self.blocks - 1:
                waiting += [(turned[0], self._mixture(turned[0], piece))
                            for piece in self.mixture.pieces(self.of_mixture, turned[0])]
            for _ in range(min(each, len(waiting))):
                yield waiting.popleft()[1]
        yield from self._last(items, waiting)

    def _last(self, items: list[tuple[int, int]], waiting: deque[tuple[int, _Job]]) -> Iterator[_Job]:
        """Yields the remaining mixtures, after the softmax and the transposition of the last blocks."""
        yield from self._due(waiting, items[-1][0] - TURNED)
        before = items[-2] if len(items) > 1 else None
        yield _Job(_nothing, _nothing, [lambda: self._follow(items[-1], before), lambda: self._follow(None, items[-1])])
        yield from self._due(waiting, items[-1][0])
        for head in {head: None for head, block in items[-2:] if block == self.blocks - 1}:
            for piece in self.mixture.pieces(self.of_mixture, head):
                yield self._mixture(head, piece)

    @staticmethod
    def _due(waiting: deque[tuple[int, _Job]], head: int) -> Iterator[_Job]:
        """Yields the waiting pieces of mixtures of all heads up to ``head``."""
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
        """Writes the softmax of one block and the transposition of another; each is (head, block), or None for neither."""
        if softmax is not None:
            head, block = softmax
            self.softmax.write_piece(self.of_softmax, Piece(block, head, 0, 1, self.of_softmax.y.columns))
        if turned is not None:
            self.mixture.turn(self.of_mixture.x, *turned)
