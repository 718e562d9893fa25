"""Words that the project's prose avoids, with what to write instead and where a word is right all the same."""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from benchmarks.prose.passage import Passage


class Avoided(NamedTuple):
    """``instead``: what to write; ``allowed``: uses that are plain English, removed before the search."""

    pattern: str
    instead: str
    allowed: str = ""


class Finding(NamedTuple):
    """A passage with an avoided word, as found in its text."""

    passage: Passage
    found: str
    instead: str

    def __str__(self) -> str:
        return f"{self.passage.place}: {self.found!r}: write {self.instead}"


AVOIDED = (
    # Leaving, falling and lagging behind are idioms, and a server may be behind a proxy.
    Avoided(r"behind", "'after' for order and time",
            allowed=r"(leav\w*|left|fall\w*|fell|lag\w*)\b.{0,40}\bbehind|behind (a|the) proxy"),
    Avoided(r"besides?", "'next to' for a place, 'in addition to' or 'as well as' for more of a kind"),
    # Things can be told apart; a signal or a file tells nobody anything.
    Avoided(r"tells|told", "'reports', 'shows', 'contains', or 'is given'", allowed=r"told apart"),
    Avoided(r"hangs? on", "'depends on'"),
    Avoided(r"speaks? of", "'refers to' or 'describes'"),
    Avoided(r"(one|a word|a byte|a class|an entry) an? (line|cycle|image|row)", "'per' for a ratio: 'one per line'"),
    Avoided(r"for want of", "'for lack of' or 'without'"),
)


def findings(passages: Iterable[Passage]) -> Iterator[Finding]:
    """Every avoided word in the passages, without code in backticks."""
    for passage in passages:
        text = re.sub(r"`[^`]*`", " ", passage.text)
        for word in AVOIDED:
            rest = re.sub(word.allowed, " ", text, flags=re.IGNORECASE) if word.allowed else text
            if found := re.search(rf"\b(?:{word.pattern})\b", rest, re.IGNORECASE):
                yield Finding(passage, found[0], word.instead)
