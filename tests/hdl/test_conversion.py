"""Every unit of the bus side converts to a netlist, for every preset."""

from collections.abc import Callable
from typing import Any

import pytest
from amaranth.back import rtlil

from arrayloom.hdl.axi import Bus
from arrayloom.hdl.control import Control
from arrayloom.hdl.fetch import Fetch
from arrayloom.hdl.issue import Issue
from arrayloom.hdl.load import Load
from arrayloom.hdl.store import Store
from arrayloom.isa.config import PRESETS, Config
from arrayloom.isa.fields import Unit

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
