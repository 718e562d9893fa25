"""Running Yosys on a netlist."""

from pathlib import Path

from arrayloom.sim.rtl.process import PYTHON, run_tool

YOSYS = "import sys; from pyosys import libyosys; libyosys.run_pass('script ' + sys.argv[1], libyosys.Design())"


def run_yosys(folder: Path, *commands: str) -> None:
    """Runs the commands on ``folder / design.il``. Raises ``BuildError`` with Yosys's message when one fails."""
    (folder / "script.ys").write_text("\n".join(["read_rtlil design.il", *commands]) + "\n")
    run_tool([*PYTHON, "-c", YOSYS, "script.ys"], "Yosys", cwd=folder)
