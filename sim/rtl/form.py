"""What of a model's state is compared when two states are, and when it means anything: as data, which a build keeps."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FORM = "control.json"


@dataclass(frozen=True)
class Field:
    """``width`` bits from ``low`` of a variable: a Verilog register, or the data that a memory's read port holds."""

    variable: str
    low: int
    width: int


@dataclass(frozen=True)
class Compared:
    """Those bits of a variable that ``mask`` has are compared while ``live`` holds, an expression over ``Form.terms``."""

    variable: str
    mask: int
    live: str | None


@dataclass(frozen=True)
class Ring:
    """The columns of ``mask`` of the oldest ``level`` words of a memory, from ``first`` on, which may lie anywhere.

    ``level`` is a field, or two of which the difference is and ``filled`` says whether any is there. Without ``first`` the
    whole memory is compared in place.
    """

    memory: str
    mask: int
    first: Field | None
    level: tuple[Field, ...]
    filled: Field | None


@dataclass(frozen=True)
class Form:
    """``quiet``: fields that hold a value while two states may be compared; ``missing``: what rules name in vain."""

    compared: tuple[Compared, ...]
    rings: tuple[Ring, ...]
    quiet: tuple[tuple[Field, int], ...]
    terms: dict[str, Field]
    missing: tuple[str, ...]


def write_form(form: Form, path: Path) -> None:
    """Writes the form to a file."""
    path.write_text(json.dumps(asdict(form)) + "\n")


def read_form(path: Path) -> Form | None:
    """What ``write_form`` wrote, or None where there is no file."""
    if not path.exists():
        return None
    values = json.loads(path.read_text())

    def ring(value: dict[str, Any]) -> Ring:
        first, filled = (value[name] and Field(**value[name]) for name in ("first", "filled"))
        return Ring(value["memory"], value["mask"], first, tuple(Field(**each) for each in value["level"]), filled)

    return Form(tuple(Compared(**each) for each in values["compared"]), tuple(ring(each) for each in values["rings"]),
                tuple((Field(**field), value) for field, value in values["quiet"]),
                {name: Field(**each) for name, each in values["terms"].items()}, tuple(values["missing"]))
