"""Patterns in which only ``*`` and ``?`` are special: names of the hardware hold brackets and dollars."""

import re


def matches(pattern: str, text: str) -> bool:
    """Whether ``text`` is as ``pattern`` says, with ``*`` for any text and ``?`` for any one character."""
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), text) is not None
