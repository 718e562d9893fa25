"""Every unit of the bus side becomes a netlist, for every preset."""

from collections.abc import Callable
from typing import Any

import pytest
from amaranth.back import rtlil

from hdl.axi import Bus
from hdl.control import Control
from hdl.fetch import Fetch
from hdl.issue import Issue
from hdl.load import Load
from hdl.store import Store
from isa.config import PRESETS, Config
from isa.fields import Unit

UNITS: dict[str, Callable[[Config], Any]] = {
    "bus": Bus, "control": Control, "fetch": Fetch, "issue": lambda config: Issue(config, Unit.ARRAY), "load": Load,
    "store": Store,
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("name", PRESETS)
def test_units_convert(bench: Any, unit: str, name: str) -> None:
    component = UNITS[unit](PRESETS[name])
    assert "\nmodule \\top\n" in rtlil.convert(component, ports=bench.ports(component))
