"""Draws seeded samples of the project's prose for a reader, and finds words that it avoids.

A reader marks each sample that needs a second reading. ``python -m benchmarks.prose --seed 1 --samples 20`` prints comments,
docstrings, messages and paragraphs of documents, each with file and line. With ``--check`` it lists avoided words instead
(words.py) and ends with exit code 1 if there are any.
"""

import argparse
import random
import sys
import textwrap

from arrayloom.host.runtime.errors import InputError
from benchmarks.command import OUTSIDE, SUCCESS, parser_of, run
from benchmarks.output import deliver
from benchmarks.prose.checkout import passages_of
from benchmarks.prose.passage import Kind, Passage
from benchmarks.prose.words import findings

WIDTH = 110


def main() -> int:
    parser = parser_of("benchmarks.prose", __doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("folders", nargs="*", metavar="PATH", help="files or folders of the checkout (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the samples (default %(default)s)")
    parser.add_argument("--samples", type=int, default=20, metavar="N", help="number of samples (default %(default)s)")
    parser.add_argument("--kind", action="append", type=Kind, choices=list(Kind),
                        help="draw only this kind; may be given several times (default: all)")
    parser.add_argument("--check", action="store_true", help="list avoided words instead of samples")
    return run(parser, _action)


def draw(passages: list[Passage], seed: int, samples: int) -> list[Passage]:
    """``samples`` different passages in the order of the draw; the same for the same passages and seed.

    Raises ``InputError`` if there are fewer passages.
    """
    if not 1 <= samples <= len(passages):
        raise InputError(f"--samples {samples}: must be from 1 to {len(passages)}, the number of passages")
    return random.Random(seed).sample(passages, samples)


def _action(options: argparse.Namespace) -> int:
    kinds = options.kind or list(Kind)
    passages = [passage for passage in passages_of(options.folders) if passage.kind in kinds]
    return _check(options, passages) if options.check else _samples(options, passages)


def _samples(options: argparse.Namespace, passages: list[Passage]) -> int:
    drawn = draw(passages, options.seed, options.samples)
    entries = [{"file": str(one.path), "line": one.line, "kind": one.kind.value, "text": one.text} for one in drawn]
    if deliver(options, {"seed": options.seed, "passages": len(passages), "samples": entries}):
        for number, one in enumerate(drawn, 1):
            print(f"{number}. {one.place} ({one.kind.value})")
            for line in one.text.splitlines():
                print(textwrap.fill(line, WIDTH, initial_indent="    ", subsequent_indent="    ") if line.strip() else "")
    return SUCCESS


def _check(options: argparse.Namespace, passages: list[Passage]) -> int:
    found = list(findings(passages))
    entries = [{"file": str(one.passage.path), "line": one.passage.line, "found": one.found, "instead": one.instead}
               for one in found]
    if deliver(options, {"passages": len(passages), "findings": entries}):
        print(f"{len(passages)} passages, {len(found)} avoided words")
        for one in found:
            print(one)
    return OUTSIDE if found else SUCCESS


if __name__ == "__main__":
    sys.exit(main())
