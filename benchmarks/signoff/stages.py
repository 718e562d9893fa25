"""Verification stages of each unit, after OpenTitan's (V2: 90 % of everything; V3: everything, and all proofs unbounded)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.signoff.checks import Result

UNITS = ("control", "fetch", "issue", "load", "array", "post", "store", "scratchpad", "bus", "weight_fifo", "top")
V1, V2, V3 = "V1", "V2", "V3"
_MOST = 0.90
KINDS = ("lines", "branches", "toggles")


@dataclass(frozen=True)
class Unit:
    """The results for one unit; None if not measured.

    ``proved`` and ``bounded`` count proofs; ``noticed`` is the share of planted faults that change something and were
    noticed; ``covered`` the share of lines, branches and toggles of control that were hit, ``explained`` that with those
    that a reason explains.
    """

    proved: int | None
    bounded: int | None
    noticed: float | None
    covered: dict[str, float] | None
    explained: bool | None

    @property
    def stage(self) -> str:
        """The highest stage whose conditions all hold."""
        if self.noticed is None or self.covered is None or min(self.noticed, *self.covered.values()) < _MOST:
            return V1
        whole = self.explained and self.noticed == 1 and self.proved and not self.bounded
        return V3 if whole else V2

    def figures(self) -> dict[str, Any]:
        return {**asdict(self), "stage": self.stage}


def units(results: Mapping[str, Result]) -> dict[str, Unit]:
    """All units, from the results of the commands."""
    return {unit: Unit(**_proofs(results.get("proofs"), unit), noticed=_noticed(results.get("mutation"), unit),
                       **_coverage(results.get("coverage"), unit)) for unit in UNITS}


def _proofs(result: Result | None, unit: str) -> dict[str, int | None]:
    if result is None:
        return {"proved": None, "bounded": None}
    kinds = [proof["result"] for proof in result["proofs"] if proof["unit"] == unit]
    proved, failed = kinds.count("proved"), kinds.count("failed")
    return {"proved": proved, "bounded": len(kinds) - proved - failed}


def _noticed(result: Result | None, unit: str) -> float | None:
    """The fraction of the non-equivalent faults that are noticed."""
    if result is None or unit not in result["by_unit"]:
        return None
    counts = result["by_unit"][unit]
    real = counts["mutants"] - counts["equivalent"]
    return counts["caught"] / real if real else None


def _coverage(result: Result | None, unit: str) -> dict[str, Any]:
    if result is None or unit not in result["units"]:
        return {"covered": None, "explained": None}
    counts = result["units"][unit]
    covered = {kind: counts[kind][0] / counts[kind][1] if counts[kind][1] else 1.0 for kind in KINDS}
    return {"covered": covered, "explained": not any(point.startswith(f"{unit} ") for point in result["unexplained"])}
