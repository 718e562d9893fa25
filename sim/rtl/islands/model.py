"""Edits Verilator's C++ for islands before it is compiled."""

from pathlib import Path

from arrayloom.sim.rtl.islands.fields import write_fields
from arrayloom.sim.rtl.islands.layout import HEADER, read_layout
from arrayloom.sim.rtl.islands.triggers import edit_triggers

FIELDS = "fields.h"


def prepare_islands(verilog: Path, model: Path, twin: bool) -> None:
    """Edits the model and writes its header; ``verilog`` is the folder with the layout of the islands.

    Raises ``UnknownModelError``, without changing anything, if the model does not have the expected form.
    """
    layout = read_layout(verilog)
    edit_triggers(model, len(layout.names), layout.activity)
    (model / HEADER).write_text(layout.header())
    if twin:
        (model / FIELDS).write_text(write_fields((model / "Vtop___024root.h").read_text()))
