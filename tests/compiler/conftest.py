"""Checks every program that a compiler test makes: tokens order all accesses to a word."""

from collections.abc import Iterator
from typing import Any

import pytest

import arrayloom.compiler as compiler
from arrayloom.isa.hazards import find_hazards
from arrayloom.isa.program import Program


@pytest.fixture(autouse=True, scope="module")     # set up before module fixtures, which also compile programs
def ordered_programs() -> Iterator[None]:
    run_passes = compiler.run_passes

    def checked(*arguments: Any) -> Program:
        program = run_passes(*arguments)
        finding = next(find_hazards(program), None)
        assert finding is None, finding
        return program

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiler, "run_passes", checked)
        yield
