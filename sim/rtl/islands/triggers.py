"""Checks and speeds up the generated C++ in which fired clocks select what is evaluated.

Verilator writes one function, ``eval_nba``, as a sequence of guarded blocks: ``if (mask & triggers) { ... }``, in an order
that respects every dependency. With islands, most guards fail in most cycles, and the tests themselves take more than
a quarter of the time. Here adjacent blocks get a common guard if that saves tests, according to the recorded
sets of active islands, and the triggers are read once.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from arrayloom.sim.rtl.islands.terms import Activity, share_awake

TRIGGERS = "vlSelfRef.__VnbaTriggered[0U]"
FUNCTION = "void Vtop___024root___eval_nba(Vtop___024root* vlSelf) {\n"
BODY = "    // Body\n"
LARGEST_GROUP = 24
RARE = 0.1      # fraction of cycles below which a block's code is moved out of the hot path


class UnknownModelError(Exception):
    """Verilator's C++ does not have the known form; a new version may change it."""


@dataclass(frozen=True)
class Block:
    """A guarded block of ``eval_nba``: bit k of ``mask`` stands for island k; ``text`` is the guarded code."""

    mask: int
    text: str


def edit_triggers(model: Path, islands: int, activity: Activity) -> None:
    """Rewrites ``eval_nba`` of the model in that folder, with the given number of islands including the inputs' clocks.

    ``activity``: sets of islands, each with the fraction of cycles in which exactly these are active. Raises
    ``UnknownModelError``, without changing anything, if the model does not have the expected form.
    """
    file, text = _find(model)
    begin = text.index(FUNCTION)
    end = text.index("\n}\n", begin) + 1
    head, separator, body = text[begin + len(FUNCTION):end].partition(BODY)
    if not separator:
        raise UnknownModelError(f"{FUNCTION!r} has no {BODY!r}")
    blocks = _parse(body)
    _check_order(model, islands)
    lines = [FUNCTION, head, BODY, f"    const uint64_t triggers = {TRIGGERS};\n", *_write(blocks, activity)]
    file.write_text(text[:begin] + "".join(lines) + text[end:])


def _find(model: Path) -> tuple[Path, str]:
    for file in sorted(model.glob("Vtop___024root__*.cpp")):
        text = file.read_text()
        if FUNCTION in text:
            return file, text
    raise UnknownModelError(f"no file defines {FUNCTION!r}")


def _parse(body: str) -> list[Block]:
    first, *parts = re.split(r"(?m)^(?=    if \()", body)
    if first.strip():
        raise UnknownModelError(f"eval_nba begins with {first[:80]!r}")
    blocks = []
    for part in parts:
        guard = re.match(r"    if \(\((0x[0-9a-f]+|\d+)ULL\s*&\s*" + re.escape(TRIGGERS) + r"\)\) \{\n", part)
        if guard is None or not part.endswith("    }\n") or part.count("\n    }") > 1:
            raise UnknownModelError(f"a block of eval_nba is {part[:120]!r}")
        blocks.append(Block(int(guard[1], 0), part[guard.end():-len("    }\n")]))
    return blocks


def _check_order(model: Path, islands: int) -> None:
    """Checks that Verilator has numbered the clocks in order: the harness sets bit k for island k."""
    text = "".join(file.read_text() for file in sorted(model.glob("Vtop___024root__*.cpp")))
    found = {int(index): int(clock) for index, clock in
             re.findall(r"region trigger index (\d+) is active: @\(edge clk_(\d+)\)", text)}
    if found != {number: number for number in range(islands)}:
        raise UnknownModelError(f"the clocks have other numbers than their triggers: {found}")


def _write(blocks: list[Block], activity: Activity) -> list[str]:
    lines = []
    for begin, end in group_blocks([block.mask for block in blocks], activity):
        inside = [_guarded(block.mask, block.text, activity) for block in blocks[begin:end]]
        if end - begin > 1:
            lines.append(_guarded(_union(blocks[begin:end]), "".join(inside), activity))
        else:
            lines += inside
    return lines


def _union(blocks: list[Block]) -> int:
    mask = 0
    for block in blocks:
        mask |= block.mask
    return mask


def _guarded(mask: int, text: str, activity: Activity) -> str:
    test = f"({mask:#x}ULL & triggers) != 0"
    if share_awake(mask, activity) < RARE:
        test = f"__builtin_expect({test}, 0)"
    return f"    if ({test}) {{\n{text}    }}\n"


def group_blocks(masks: list[int], activity: Activity) -> list[tuple[int, int]]:
    """Cuts a sequence of guards into groups, as (begin, end), so that a cycle runs the fewest tests.

    A group of one has only its own guard; a larger one costs one test in each cycle, plus one per member in cycles
    in which one of its islands is active.
    """
    best: list[tuple[float, int]] = [(0.0, 0)]
    for end in range(1, len(masks) + 1):
        union, choices = 0, []
        for begin in range(end - 1, max(-1, end - 1 - LARGEST_GROUP), -1):
            union |= masks[begin]
            inside = share_awake(union, activity) * (end - begin) if end - begin > 1 else 0.0
            choices.append((best[begin][0] + 1 + inside, begin))
        best.append(min(choices))
    groups, end = [], len(masks)
    while end:
        groups.append((best[end][1], end))
        end = best[end][1]
    return groups[::-1]
