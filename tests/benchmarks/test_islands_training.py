"""The division of registers into islands, made from their recorded activity."""

import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from checkout import ROOT

from arrayloom.sim.rtl.islands.partition import read_partition
from arrayloom.sim.rtl.islands.state import find_state
from arrayloom.sim.rtl.netlist import Netlist
from benchmarks.islands.activity import by_key
from benchmarks.islands.clustering import GUARD, Clustering, similar_groups
from benchmarks.islands.table import table_text
from benchmarks.islands.train import train

SAMPLES, FIRST = 600, 280
REGISTERS = [("left", "a", True), ("left", "b", True), ("right", "c", True), ("right", "d", True), ("right", "e", False)]
"""Unit, name, and whether there is an enable: a drives b drives c, which drives d, which drives e; each is twice its
source."""


def _netlist() -> Netlist:
    lines = ["module \\top", "  wire input 1 \\clk", "  wire input 2 \\go", "  wire width 16 input 3 \\x"]
    lines += [f"  wire width 16 \\{unit}.{name}" for unit, name, _ in REGISTERS]
    lines += [f"  wire width 16 \\sum_{name}" for _, name, _ in REGISTERS]
    before = "\\x"
    for unit, name, enable in REGISTERS:
        lines += [f"  cell $add $add_{name}", *(f"    parameter \\{port}_WIDTH 16" for port in "ABY"),
                  f"    connect \\A {before}", f"    connect \\B {before}", f"    connect \\Y \\sum_{name}", "  end",
                  f'  attribute \\unit "{unit}"', f"  cell {'$dffe' if enable else '$dff'} $r_{name}",
                  "    parameter \\CLK_POLARITY 1'1", "    parameter \\EN_POLARITY 1'1", "    parameter \\WIDTH 16",
                  "    connect \\CLK \\clk", *(["    connect \\EN \\go"] if enable else []),
                  f"    connect \\D \\sum_{name}", f"    connect \\Q \\{unit}.{name}", "  end"]
        before = f"\\{unit}.{name}"
    return Netlist("\n".join([*lines, "end"]) + "\n")


def _samples() -> np.ndarray:
    """a and b change in the first samples, c, d and e in each fourth of the others; b is always enabled."""
    samples = np.zeros((SAMPLES, len(REGISTERS), 2), bool)
    samples[:FIRST, :2] = True
    samples[:, 1, 0] = True
    samples[FIRST::4, 2:] = True
    return samples


def test_registers_that_change_together_are_one_island() -> None:
    netlist = _netlist()
    states = list(find_state(netlist))
    trained = train(netlist, states, by_key(states, _samples()))
    assert list(trained.islands.values()) == [["left/a", "left/b"], ["right/c", "right/d", "right/e"]]
    assert list(trained.islands) == ["left.0", "right.0"]
    assert trained.shares == [FIRST / SAMPLES, 80 / SAMPLES]
    assert trained.awake == [((0,), FIRST), ((), 240), ((1,), 80)]
    assert trained.by_enable == ["left/a", "right/c", "right/d"]     # b rarely changes when enabled, e has no enable


def test_a_comparison_is_left_out_only_where_it_does_not_pay() -> None:
    netlist, samples = _netlist(), _samples()
    samples[:, 1] = False
    samples[:, 1, 0] = True                 # enabled always, and never changed
    states = list(find_state(netlist))
    assert "left/b" not in train(netlist, states, by_key(states, samples)).by_enable


def test_the_same_samples_give_the_same_table(tmp_path: Path) -> None:
    def text() -> str:
        netlist = _netlist()
        states = list(find_state(netlist))
        return table_text(train(netlist, states, by_key(states, _samples())), {"tiny": "00"})

    assert text() == text()
    file = tmp_path / "table.json"
    file.write_text(text())
    partition = read_partition(file)
    states = list(find_state(_netlist()))
    assert [partition.island(state) for state in states] == ["left.0"] * 2 + ["right.0"] * 3
    assert [partition.exact(state) for state in states] == [False, True, False, False, True]
    assert partition.made_for == {"tiny": "00"}
    assert partition.unknown_share(states) == 0
    assert partition.activity(["left.0", "right.0"]) == [(1, 280 / 600), (0, 240 / 600), (2, 80 / 600)]


def test_samples_of_another_design_are_refused() -> None:
    states = list(find_state(_netlist()))
    with pytest.raises(ValueError, match=r"must be \[1 or more, 5, 2\]"):
        by_key(states, _samples()[:, :4])
    with pytest.raises(ValueError, match="1 or more"):
        by_key(states, _samples()[:0])


def test_groups_begin_with_one_unit_alone() -> None:
    assert similar_groups(["a", "a", "b", "a"], [0b1111, 0b1111, 0b1111, 0b0001]) == [[0, 1], [2], [3]]


def _random_clustering(seed: int) -> tuple[list[int], dict[int, float], Clustering]:
    draw = random.Random(seed)
    seen = [draw.getrandbits(64) & draw.getrandbits(64) for _ in range(12)]
    work = {draw.getrandbits(12) | 1 << draw.randrange(12): draw.uniform(1, 50) for _ in range(60)}
    return seen, work, Clustering(seen, work, 64)


@pytest.mark.parametrize("seed", range(5))
def test_a_score_is_what_the_merge_then_costs(seed: int) -> None:
    _, _, clustering = _random_clustering(seed)
    for first, second in ((0, 7), (3, 4), (0, 3)):
        before, guards, score = clustering.cost(), clustering.guards, clustering.score(first, second)
        clustering.merge(first, second)
        assert clustering.cost() - before + GUARD * (clustering.guards - guards) == pytest.approx(score)


@pytest.mark.parametrize("seed", range(5))
def test_islands_cost_less_than_groups_and_hold_them_all(seed: int) -> None:
    seen, work, clustering = _random_clustering(seed)
    before = clustering.cost() + GUARD * clustering.guards
    clustering.shrink(12)
    assert clustering.cost() + GUARD * clustering.guards <= before
    assert sorted(group for groups in clustering.islands.values() for group in groups) == list(range(12))
    sets = [sum(1 << group for group in groups) for groups in clustering.islands.values()]
    expected = 0.0
    for mask, cost in work.items():
        whole = sum(island for island in sets if island & mask)
        awake = 0
        for group in range(12):
            awake |= seen[group] if whole >> group & 1 else 0
        expected += cost * awake.bit_count() / 64
    assert clustering.cost() == pytest.approx(expected)


def test_no_more_islands_than_allowed() -> None:
    _, _, clustering = _random_clustering(9)
    clustering.shrink(4)
    assert len(clustering.islands) <= 4


@pytest.mark.slow
def test_the_command_trains_on_a_network(tmp_path: Path) -> None:
    file = tmp_path / "table.json"
    done = subprocess.run([sys.executable, "-m", "benchmarks.islands", "--network", "digits", "--config", "tiny", "--cycles",
                           "30000", "--presets", "tiny", "--output", str(file), "--json"], cwd=ROOT, capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["samples"] == -(-30000 // 499)
    assert 2 < figures["islands"] <= 61
    table = json.loads(file.read_text())
    registers = [key for entry in table["islands"].values() for key in entry["registers"]]
    assert len(registers) == len(set(registers)) > 300
    assert sum(count for _, count in table["awake"]) == figures["samples"]
    checked = subprocess.run([sys.executable, "-m", "benchmarks.islands", "--check", "--output", str(file)], cwd=ROOT,
                             capture_output=True, text=True, check=False)
    assert checked.stdout == "tiny     the registers of the table\n"
    assert checked.returncode == 0
