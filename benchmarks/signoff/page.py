"""The page with the sign-off tables."""

from collections.abc import Mapping, Sequence

from benchmarks.signoff.checks import Check, Verdict
from benchmarks.signoff.stages import KINDS, Unit

HEAD = """# Sign-off

What is asked of the hardware before it is signed off, and what was found. `python -m benchmarks.signoff --results DIR
--output docs/signoff.md` runs every command of the table and writes this page; each runs alone too.

| what must hold | found | holds | command |
|---|---|---|---|
"""

STAGES = """
## By unit

A unit is at stage V2 when 90 % of everything is covered and noticed, at V3 when all of it is, or explained, and every proof
is without a bound; before that at V1. *Noticed* is the share of faults planted in the netlist that change something and
that a test or a proof notices.

| unit | stage | proved | to a bound | noticed | lines | branches | toggles of control |
|---|---|---|---|---|---|---|---|
"""


def page(checks: Sequence[Check], verdicts: Mapping[str, Verdict], units: Mapping[str, Unit]) -> str:
    """The tables of all checks (with or without a verdict) and of the units, as Markdown."""
    rows = [f"| {check.must} | {' | '.join(_verdict(verdicts.get(check.name)))} | `{check.text}` |" for check in checks]
    return HEAD + "\n".join(rows) + "\n" + STAGES + "\n".join(_row(name, unit) for name, unit in units.items()) + "\n"


def _verdict(verdict: Verdict | None) -> tuple[str, str]:
    return ("not run", "-") if verdict is None else (verdict.found, "yes" if verdict.met else "**no**")


def _row(name: str, unit: Unit) -> str:
    covered = unit.covered or {}
    cells = [name, unit.stage, _count(unit.proved), _count(unit.bounded), _share(unit.noticed),
             *(_share(covered.get(kind)) for kind in KINDS)]
    return "| " + " | ".join(cells) + " |"


def _count(count: int | None) -> str:
    return "-" if count is None else str(count)


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"
