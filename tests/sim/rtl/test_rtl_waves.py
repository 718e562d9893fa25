"""Waveforms of a window of cycles."""

import re

import pytest

from sim.rtl.errors import SimulationError
from sim.rtl.variants import WAVES


def test_a_window_of_waveforms(build_copier, open_bench, tmp_path):
    with open_bench(build_copier(16, WAVES)) as bench:
        bench.start(words=30)
        first = bench.simulator.cycles + 10
        bench.simulator.open_waves(tmp_path / "window.vcd", first, first + 19)
        bench.simulator.run(10_000)
        bench.simulator.open_waves(tmp_path / "cut.vcd", 0, 1 << 40)
        bench.copy(5)
        bench.simulator.close_waves()
    text = (tmp_path / "window.vcd").read_text()
    times = [int(time) for time in re.findall(r"^#(\d+)$", text, re.M)]
    assert times == list(range(2 * first, 2 * (first + 19) + 2))
    assert re.search(r"\$var wire\s+40 \S+ axi__araddr ", text)
    assert re.search(r"\$scope module fifo \$end", text)
    clock = re.search(r"\$var wire\s+1 (\S+) clk ", text)[1]
    assert len(re.findall(rf"^1{re.escape(clock)}$", text, re.M)) == 20
    assert len(re.findall(r"^#\d+$", (tmp_path / "cut.vcd").read_text(), re.M)) > 100


def test_what_cannot_be_recorded_is_refused(build_copier, open_bench, tmp_path):
    refused = pytest.raises(SimulationError, match="this is a fast build; build the 'waves' variant")
    with open_bench(build_copier()) as bench, refused:
        bench.simulator.open_waves(tmp_path / "window.vcd", 0, 1)
    with open_bench(build_copier(16, WAVES)) as bench:
        with pytest.raises(SimulationError, match="cycles 5 to 4: the first must not come after the last"):
            bench.simulator.open_waves(tmp_path / "window.vcd", 5, 4)
        with pytest.raises(SimulationError, match=r"absent/window.vcd cannot be written"):
            bench.simulator.open_waves(tmp_path / "absent" / "window.vcd", 0, 1)
        bench.copy(1)
