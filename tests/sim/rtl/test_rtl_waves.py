"""Waveforms of a window of cycles, in both formats."""

import re
from pathlib import Path

import pytest
from pywellen import Waveform

from arrayloom.sim.rtl import toolchain
from arrayloom.sim.rtl.design import WAVES, WaveFormat
from arrayloom.sim.rtl.errors import SimulationError, ToolError
from arrayloom.sim.rtl.toolchain import require_fst

FIRST, LAST = 70, 99


def record(bench, path: Path, first: int, last: int) -> None:
    bench.simulator.open_waves(path, first, last)
    bench.copy(30)
    bench.simulator.close_waves()


@pytest.mark.parametrize("waves", WaveFormat)
def test_a_window_of_waveforms(build_copier, open_bench, tmp_path, waves):
    path = tmp_path / f"window.{waves}"
    with open_bench(build_copier(16, WAVES[waves])) as bench:
        bench.copy(5)
        record(bench, path, FIRST, LAST)
        record(bench, tmp_path / f"whole.{waves}", 0, 1 << 40)
    window, whole = Waveform(str(path)), Waveform(str(tmp_path / f"whole.{waves}"))
    clock = window["TOP.top.clk"].tv
    assert [int(time) for time, _ in clock] == list(range(2 * FIRST, 2 * LAST + 2))
    assert int(clock[0][1]) == 1
    assert len(whole["TOP.top.clk"].tv) > 100
    names = {variable.full_name for variable in window.all_vars()}
    assert any(name.startswith("TOP.top.fifo.") for name in names)
    seen = [value_at(window, "TOP.top.events__causes", int(time)) for time, _ in clock]
    assert seen == [value_at(whole, "TOP.top.events__causes", int(time)) for time, _ in clock]
    assert set(seen) == {0, 1}
    assert value_at(whole, "TOP.top.events__running", 0) == 1


def value_at(waveform: Waveform, name: str, time: int) -> int:
    """The value after the last change up to that time."""
    return [int(value) for when, value in waveform[name].tv if int(when) <= time][-1]


def test_what_cannot_be_recorded_is_refused(build_copier, open_bench, tmp_path):
    refused = pytest.raises(SimulationError, match="this is a fast build; build one of the wave variants")
    with open_bench(build_copier()) as bench, refused:
        bench.simulator.open_waves(tmp_path / "window.vcd", 0, 1)
    with open_bench(build_copier(16, WAVES[WaveFormat.VCD])) as bench:
        with pytest.raises(SimulationError, match="cycles 5 to 4: the first must not come after the last"):
            bench.simulator.open_waves(tmp_path / "window.vcd", 5, 4)
        with pytest.raises(SimulationError, match=r"absent/window.vcd cannot be written"):
            bench.simulator.open_waves(tmp_path / "absent" / "window.vcd", 0, 1)
        bench.copy(1)


def test_without_the_libraries_of_fst_the_remedy_is_named(monkeypatch):
    def missing(name):
        raise OSError(f"{name}: cannot open shared object file")

    require_fst()
    monkeypatch.setattr(toolchain, "ctypes", type("", (), {"CDLL": staticmethod(missing)}))
    with pytest.raises(ToolError, match=re.escape("waveforms as FST need liblz4.so.1") + ".*or write a .vcd file"):
        require_fst()
