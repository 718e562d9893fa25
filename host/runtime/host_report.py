"""Reports of what the host computes in float and which values were rounded, for the output of commands."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Protocol

from arrayloom.isa.host_parts import HostPart, HostWork, InsertedRounding

HOST = "host"   # prefix of the line about head and tail
_SHOWN = 3      # most operators in a line of text


class Compiled(Protocol):
    """A program, an imported graph, or a report about one."""

    @property
    def host(self) -> HostWork: ...

    @property
    def inserted_roundings(self) -> Sequence[InsertedRounding]: ...


def figures_of_host(compiled: Compiled) -> dict[str, Any]:
    """What the host computes and what was rounded, under their names in ``--json``."""
    return {"host": compiled.host.to_json(),
            "inserted_roundings": [asdict(rounding) for rounding in compiled.inserted_roundings]}


def lines_of_host(compiled: Compiled) -> Iterator[str]:
    """The same as lines of text; empty if there is nothing to report."""
    parts = [_in_words(name, part) for name, part in compiled.host.parts.items() if part.nodes]
    if parts:
        yield f"{HOST:13}{' and '.join(parts)}, {_percent(compiled.host.share)} of the multiply-accumulates"
    for rounding in compiled.inserted_roundings:
        yield (f"rounded      '{rounding.value}' of '{rounding.node}' to {rounding.dtype}, scale {rounding.scale:.6g}, "
               f"zero point {rounding.zero_point}")


def _percent(share: float) -> str:
    return "less than 0.1%" if 0 < share < 0.0005 else f"{share:.1%}"


def _in_words(name: str, part: HostPart) -> str:
    operators = list(dict.fromkeys(node.op for node in part.nodes))
    shown = ", ".join([*operators[:_SHOWN], *(["..."] if len(operators) > _SHOWN else [])])
    return f"{name} of {len(part.nodes)} node{'s' if len(part.nodes) > 1 else ''} ({shown})"
