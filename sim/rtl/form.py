"""The parts of a model's state to compare, and when each is meaningful, as data stored with a build."""

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
    """The bits of a variable in ``mask``, compared while ``live`` holds, an expression over ``Form.terms``."""

    variable: str
    mask: int
    live: str | None


@dataclass(frozen=True)
class Ring:
    """The columns of ``mask`` of the oldest ``level`` words of a memory, from ``first`` on, wherever that is.

    ``level`` is a field, or the difference of two, and ``filled`` whether it is not empty. Without ``first``, the
    whole memory is compared in place.
    """

    memory: str
    mask: int
    first: Field | None
    level: tuple[Field, ...]
    filled: Field | None


@dataclass(frozen=True)
class Form:
    """``quiet``: fields that must have a value for a comparison; ``missing``: names in rules that do not exist."""

    compared: tuple[Compared, ...]
    rings: tuple[Ring, ...]
    quiet: tuple[tuple[Field, int], ...]
    terms: dict[str, Field]
    missing: tuple[str, ...]


def write_form(form: Form, path: Path) -> None:
    """Writes the form to a file."""
    path.write_text(json.dumps(asdict(form)) + "\n")


def read_form(path: Path) -> Form | None:
    """Reads the output of ``write_form``; None if there is no file."""
    if not path.exists():
        return None
    values = json.loads(path.read_text())

    def ring(value: dict[str, Any]) -> Ring:
        first, filled = (value[name] and Field(**value[name]) for name in ("first", "filled"))
        return Ring(value["memory"], value["mask"], first, tuple(Field(**each) for each in value["level"]), filled)

    return Form(tuple(Compared(**each) for each in values["compared"]), tuple(ring(each) for each in values["rings"]),
                tuple((Field(**field), value) for field, value in values["quiet"]),
                {name: Field(**each) for name, each in values["terms"].items()}, tuple(values["missing"]))
