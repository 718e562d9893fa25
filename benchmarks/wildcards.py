"""Patterns in which only ``*`` and ``?`` are special, since names in the hardware contain brackets and dollar signs."""

import re


def matches(pattern: str, text: str) -> bool:
    """Whether ``text`` matches ``pattern``, with ``*`` for any text and ``?`` for any one character."""
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), text) is not None
