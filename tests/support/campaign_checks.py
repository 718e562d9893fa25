"""A check for tests of campaigns, in a module that worker processes can import."""

from typing import NamedTuple


class Failed(NamedTuple):
    kind: str
    text: str


def odd_ones_fail(seed: int, divisor: int) -> Failed | None:
    return Failed("one is left", f"seed {seed}") if seed % divisor == 1 else None
