"""The fast Verilog computes the hardware's signed arithmetic in many widths; netlists are read and changed."""

import numpy as np
import pytest

from arrayloom.sim.rtl.design import CHECKED, FAST
from arrayloom.sim.rtl.netlist import Netlist
from arrayloom.sim.rtl.widen import widen

TARGET = 1 << 17
WORDS = 400


def expected_calculation(word: np.ndarray) -> bytes:
    """The result of ``copier.calculate`` for 16 bytes."""
    x = [int(value) for value in word.view(np.int8)]
    dot = x[0] * x[1] + x[2] * x[3] + x[4] * x[5] + x[6] * x[7]
    scaled = (dot - x[8] * x[9]) * x[10]
    flags = [dot < scaled, dot >= x[12], dot == x[13] * x[14], scaled <= x[11], dot != scaled, x[8] > dot]
    product = scaled * dot * x[13] + (x[15] << 40)
    fields = [(scaled + x[11] + 0x7FFF_0000, 32), (-dot >> 3, 16), (sum(bit << i for i, bit in enumerate(flags)), 6),
              (dot - 1, 10), (product + (1 << 63), 64)]
    result, offset = 0, 0
    for value, width in fields:
        result |= (value & (1 << width) - 1) << offset
        offset += width
    return result.to_bytes(16, "little")


@pytest.mark.parametrize(("word_bytes", "variant"), [(16, FAST), (64, CHECKED)])
def test_arithmetic_of_every_width(build_copier, open_bench, copier, word_bytes, variant):
    with open_bench(build_copier(word_bytes, variant)) as bench:
        source = bench.simulator.memory[:WORDS * word_bytes].reshape(WORDS, word_bytes)
        source[0], source[1], source[2] = 0x80, 0x7F, 0
        source[3, :16:2], source[3, 1:16:2] = 0x80, 0x7F
        bench.copy(WORDS, MODE=copier.Mode.CALCULATE)
        results = bench.simulator.memory[TARGET:TARGET + WORDS * word_bytes].reshape(WORDS, word_bytes)[:, :16]
        for word, result in zip(source, results, strict=True):
            assert result.tobytes() == expected_calculation(word[:16])


NETLIST = """\
autoidx 5
attribute \\top 1
module \\top
  attribute \\init 8'00000000
  wire width 8 \\q
  wire width 8 input 1 \\a
  wire width 8 input 2 \\b
  wire width 20 output 3 \\y
  wire width 16 $1
  wire width 33 $2
  wire input 4 \\clk
  cell $mul $m
    parameter \\A_SIGNED 1
    parameter \\A_WIDTH 8
    parameter \\B_SIGNED 1
    parameter \\B_WIDTH 8
    parameter \\Y_WIDTH 16
    connect \\A \\a
    connect \\B \\q
    connect \\Y $1
  end
  cell $add $s
    parameter \\A_SIGNED 1
    parameter \\A_WIDTH 17
    parameter \\B_SIGNED 1
    parameter \\B_WIDTH 32
    parameter \\Y_WIDTH 33
    connect \\A { $1 [15] $1 }
    connect \\B { \\b 16'1 \\b [7:4] 4'01x1 }
    connect \\Y $2
  end
  cell $dff $f
    parameter \\CLK_POLARITY 1
    parameter \\WIDTH 8
    connect \\CLK \\clk
    connect \\D $1 [9:2]
    connect \\Q \\q
  end
  connect \\y $2 [29:10]
end
"""


def test_a_netlist_reads_and_writes_the_same_bits():
    netlist = Netlist(NETLIST)
    add = netlist.cells[1]
    assert add.ports["A"][-2:] == [("$1", 15), ("$1", 15)]
    assert add.ports["B"][:5] == ["1", "x", "1", "0", ("\\b", 4)]
    assert add.ports["B"][8:10] == ["1", "0"] and add.ports["B"][24:] == [("\\b", i) for i in range(8)]
    assert netlist.connections == [([("\\y", i) for i in range(20)], [("$2", i + 10) for i in range(20)])]
    again = Netlist(netlist.text())
    assert [cell.ports for cell in again.cells] == [cell.ports for cell in netlist.cells]
    assert again.text() == netlist.text()
    assert "attribute \\init 8'00000000\n  wire width 8 \\q" in again.text()


def test_widening_drops_unread_bits_and_takes_the_width_of_a_processor():
    netlist = Netlist(NETLIST)
    widen(netlist)
    multiply, add, register = netlist.cells
    assert multiply.parameters["\\Y_WIDTH"] == "32"
    assert add.parameters["\\Y_WIDTH"] == "30" and add.parameters["\\B_WIDTH"] == "30"
    assert add.ports["A"] == multiply.ports["Y"] and add.parameters["\\A_WIDTH"] == "32"
    assert register.ports["D"] == multiply.ports["Y"][2:10]


def test_a_line_that_is_not_understood_is_refused():
    with pytest.raises(ValueError, match="unexpected line in the netlist: '  process"):
        Netlist(NETLIST.replace("  wire width 33 $2", "  wire width 33 $2\n  process $p"))
