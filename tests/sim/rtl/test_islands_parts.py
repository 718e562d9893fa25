"""The parts that make islands: fan-in of a bit, merging of terms, analysis and placement of state, numbering of clocks."""

import re
from itertools import combinations

import pytest

from arrayloom.isa.config import PRESETS
from arrayloom.sim.rtl.design import accelerator
from arrayloom.sim.rtl.errors import BuildError
from arrayloom.sim.rtl.islands.fan_in import FanIn
from arrayloom.sim.rtl.islands.layout import Layout, order_clocks, read_layout
from arrayloom.sim.rtl.islands.partition import REST, Partition, trained_partition
from arrayloom.sim.rtl.islands.state import State, find_state
from arrayloom.sim.rtl.islands.terms import TEST_COST, merge_parts, share_awake
from arrayloom.sim.rtl.netlist import Cell, Netlist
from arrayloom.sim.rtl.verilog import widened

MEMORY = '"\\\\memory"'


def gate(name, inputs, output):
    return Cell("$and", name, {}, {"A": [(bit, 0) for bit in inputs], "Y": [(output, 0)]})


def flip_flop(name, data, value, **ports):
    connected = {"CLK": [("\\clk", 0)], "D": [(data, 0)], "Q": [(value, 0)], **ports}
    return Cell("$dff", name, {"\\CLK_POLARITY": "1'1"}, connected)


def empty():
    return Netlist("module \\top\nend\n")


def fan_in_of(cells, islands, connections=()):
    netlist = empty()
    netlist.cells += cells
    netlist.connections += connections
    by_name = {cell.name: cell for cell in cells}
    return FanIn(netlist, {id(by_name[name]): island for name, island in islands.items()})


def test_fan_in_goes_through_logic_and_connections_to_registers():
    cells = [flip_flop("$a", "\\x", "\\a"), flip_flop("$b", "\\y", "\\b"), flip_flop("$c", "\\z", "\\c"),
             gate("$g", ["\\a", "\\alias"], "\\ab"), gate("$h", ["\\ab", "\\c"], "\\abc"), gate("$i", ["\\input"], "\\none")]
    fan_in = fan_in_of(cells, {"$a": 0, "$b": 1, "$c": 2}, [([("\\alias", 0)], [("\\b", 0)])])
    assert fan_in.of([("\\ab", 0)]) == 0b011
    assert fan_in.of([("\\abc", 0)]) == 0b111
    assert fan_in.of([("\\ab", 0), ("\\c", 0)]) == 0b111
    assert fan_in.of([("\\none", 0), "1", ("\\input", 0)]) == 0
    assert fan_in.of([("\\a", 0)]) == 0b001     # not in the fan-in of its data


def test_fan_in_reads_a_memory_through_its_writers():
    write = Cell("$memwr_v2", "$w", {"\\MEMID": MEMORY}, {"CLK": [("\\clk", 0)], "EN": [("\\x", 0)]})
    other = Cell("$memwr_v2", "$o", {"\\MEMID": '"\\\\other"'}, {"CLK": [("\\clk", 0)], "EN": [("\\x", 0)]})
    read = Cell("$memrd_v2", "$r", {"\\MEMID": MEMORY}, {"ADDR": [("\\a", 0)], "DATA": [("\\data", 0)]})
    clocked = Cell("$memrd_v2", "$k", {"\\MEMID": MEMORY}, {"ADDR": [("\\a", 0)], "DATA": [("\\held", 0)]})
    cells = [flip_flop("$a", "\\x", "\\a"), write, other, read, clocked]
    fan_in = fan_in_of(cells, {"$a": 0, "$w": 1, "$o": 2, "$k": 3})
    assert fan_in.of([("\\data", 0)]) == 0b0011
    assert fan_in.of([("\\held", 0)]) == 0b1000


def test_fan_in_of_a_chain_longer_than_pythons_stack():
    cells = [flip_flop("$a", "\\x", "\\n0")]
    cells += [gate(f"$g{index}", [f"\\n{index}"], f"\\n{index + 1}") for index in range(5000)]
    assert fan_in_of(cells, {"$a": 5}).of([("\\n5000", 0)]) == 1 << 5


def test_parts_that_are_awake_together_are_merged_and_others_are_not():
    together = [(0b011, 0.5), (0b100, 0.01)]
    assert merge_parts({0b001: 40.0, 0b010: 40.0}, together) == [{0b001, 0b010}]
    apart = [(0b001, 0.5), (0b010, 0.5)]
    assert merge_parts({0b001: 40.0, 0b010: 40.0}, apart) == [{0b001}, {0b010}]
    assert merge_parts({0b001: 1.0, 0b010: 1.0}, apart) == [{0b001, 0b010}]     # the test costs more than it saves
    assert merge_parts({}, apart) == []


def test_merging_keeps_every_part_once_and_never_costs_more():
    def cost(groups):
        return sum(TEST_COST + sum(costs[key] for key in keys) * share_awake(_union(keys), activity) for keys in groups)

    activity = [(0b00011, 0.4), (0b00110, 0.3), (0b01000, 0.1), (0b10001, 0.05)]
    costs = {mask: 1.0 + 7 * mask % 23 for mask in range(1, 32, 3)}
    groups = merge_parts(costs, activity)
    assert sorted(key for keys in groups for key in keys) == sorted(costs)
    assert cost(groups) < cost([{key} for key in costs])
    for left, right in combinations(groups, 2):     # no remaining pair would save anything
        assert cost([keys for keys in groups if keys not in (left, right)] + [left | right]) >= cost(groups)


def _union(keys):
    result = 0
    for key in keys:
        result |= key
    return result


def test_state_has_its_unit_and_one_key_for_all_lanes():
    cell = flip_flop("$a", "\\x", "\\array.lane_3.sum_12$4")
    cell.attributes["\\unit"] = '"array.lane_3"'
    netlist = empty()
    netlist.cells += [gate("$g", ["\\b"], "\\c"), cell]
    (state,) = find_state(netlist)
    assert (state.unit, state.name, state.key) == ("array.lane_3", "sum_12$4", "array.lane_*/sum_*$4")


RISING = {"\\CLK_POLARITY": "1'1"}


@pytest.mark.parametrize(("cell", "message"), [
    (Cell("$adff", "$a", {}, {"CLK": [("\\clk", 0)], "Q": [("\\q", 0)]}), r"the design has a \$adff \(\$a\)"),
    (Cell("$dlatch", "$l", {}, {"EN": [("\\e", 0)], "D": [("\\d", 0)], "Q": [("\\q", 0)]}),
     r"the design has a \$dlatch \(\$l\)"),
    (Cell("$aldff", "$l", {}, {"CLK": [("\\clk", 0)], "Q": [("\\q", 0)]}), r"the design has a \$aldff \(\$l\)"),
    (Cell("$dff", "$o", {}, {"CLK": [("\\other", 0)], "Q": [("\\q", 0)]}),
     r"acts on the clock other: only designs of one clock"),
])
def test_other_state_is_refused(cell, message):
    netlist = empty()
    netlist.cells.append(cell)
    with pytest.raises(BuildError, match=message):
        list(find_state(netlist))


def state_of(unit, name):
    return State(flip_flop("$a", "\\d", f"\\{name}"), unit, name)


def test_an_unknown_register_sleeps_with_most_of_its_unit():
    partition = Partition({"array.lanes_*/sum": "one", "array.lanes_*/count": "two", "array.lanes_*/line": "two",
                           "post/word": "three"}, by_enable={"post/word"})
    assert partition.island(state_of("array.lanes_4", "sum")) == "one"
    assert partition.knows(state_of("array.lanes_4", "sum")) and not partition.knows(state_of("array.lanes_4", "new"))
    assert partition.island(state_of("post", "new")) == "three"
    assert partition.island(state_of("post.inner.deep", "new")) == "three"
    assert partition.island(state_of("elsewhere", "new")) == REST
    assert not partition.exact(state_of("post", "word")) and partition.exact(state_of("post", "new"))
    wide = state_of("post", "new")
    wide.cell.ports["Q"] = [("\\new", bit) for bit in range(65)]
    assert not partition.exact(wide)


def test_an_unknown_register_of_a_lane_sleeps_with_the_lanes():
    partition = Partition({"array.lanes_*/sum": "lanes", "array/row": "array"})
    assert partition.island(state_of("array.lanes_4", "new")) == "lanes"


@pytest.mark.parametrize("preset", ["tiny", "edge"])
def test_the_table_knows_the_units_of_every_register(preset):
    """A register of a later design may be unknown, but its unit must have an island; otherwise the table is out of date."""
    with widened(accelerator(PRESETS[preset]).make(), "top") as (_, netlist):
        states = list(find_state(netlist))
    partition = trained_partition()
    assert len(states) > 500
    assert {state.key for state in states if partition.island(state) == REST} == set()
    known = sum(partition.knows(state) for state in states)
    assert known > 0.9 * len(states)


MODULE = """module top(clk_0, clk_1, clk_2, wake_0, wake_1, wake_2, d);
  input clk_0;
  output wake_0;
  output wake_1;
  input d;
  output wake_2;
  always @(edge clk_2)
    a <= d;
  always @(edge clk_0)
    b <= wake_1;
  always @(edge clk_2)
    c <= clk_20;
endmodule
"""


def test_clocks_are_numbered_as_they_first_appear(tmp_path):
    text, layout = order_clocks(MODULE, ["zero", "one", "two"], [(0b001, 0.75), (0b110, 0.25)])
    assert layout.names == ["two", "zero", "one"]       # one has no clock and comes last
    assert layout.activity == [(0b010, 0.75), (0b101, 0.25)]
    assert re.findall(r"edge clk_(\d+)\)", text) == ["0", "1", "0"]
    assert "b <= wake_2;" in text and "clk_20" in text
    assert re.findall(r"  output (wake_\d);", text) == ["wake_0", "wake_1", "wake_2"]
    assert re.findall(r"wake_\d", text.partition(");")[0]) == ["wake_0", "wake_1", "wake_2"]
    layout.write(tmp_path)
    assert read_layout(tmp_path) == layout


def test_the_header_has_masks_by_number():
    layout = Layout(["a", "inputs.write", "inputs.other", "b", "inputs.read"], [])
    header = layout.header()
    masks = dict(re.findall(r"constexpr uint64_t (\w+) = (0x[0-9a-f]+)u;", header))
    assert masks == {"kReadInputs": "0x10", "kWriteInputs": "0x2", "kOtherInputs": "0x4", "kAllInputs": "0x16",
                     "kAllIslands": "0x1f"}
    assert header.count("static_assert(offsetof(Pins, wake_") == 4
