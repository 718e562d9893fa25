"""Registers move into multiplier blocks and memories only where the behaviour stays the same."""

from copy import deepcopy
from itertools import count
from typing import Any

import pytest

from arrayloom.host.analysis.synthesis.hard_registers import MEMORY, MULTIPLIER, OPERAND_BITS, PRODUCT_BITS, absorb

CLOCK, ENABLES = 2, {"A": 3, "B": 4, "P": 5}
Netlist = dict[str, Any]


def flip_flop(data: int, output: int, enable: int, **parameters: str) -> dict[str, Any]:
    return {"type": "TRELLIS_FF", "parameters": {"CEMUX": "CE", "LSRMUX": "LSR", "REGSET": "RESET"} | parameters,
            "port_directions": {"CLK": "input", "CE": "input", "DI": "input", "LSR": "input", "Q": "output"},
            "connections": {"CLK": [CLOCK], "CE": [enable], "DI": [data], "LSR": ["0"], "Q": [output]}}


def netlist(cells: dict[str, Any], ports: list[int]) -> Netlist:
    return {"modules": {"top": {"ports": {"pins": {"direction": "output", "bits": ports}}, "cells": cells}}}


def product() -> tuple[Netlist, dict[str, list[int]]]:
    """A 3-by-2-bit product with a register for each bit of both operands and the product; its net numbers by place."""
    nets = count(10)
    ports = {f"{side}{index}": "0" for side in "AB" for index in range(OPERAND_BITS)}
    cells: dict[str, Any] = {"product": {
        "type": MULTIPLIER, "parameters": {}, "connections": {},
        "port_directions": {**dict.fromkeys(ports, "input"), **{f"P{index}": "output" for index in range(PRODUCT_BITS)}}}}
    connections: dict[str, Any] = {name: [bit] for name, bit in ports.items()}
    made: dict[str, list[int]] = {"A": [], "B": [], "P": []}
    for side, width in {"A": 3, "B": 2, "P": PRODUCT_BITS}.items():
        for index in range(width):
            data, output = next(nets), next(nets)
            connections[f"{side}{index}"] = [data if side == "P" else output]
            if side != "P" or index < 5:
                cells[f"{side}{index}_register"] = flip_flop(data, output, ENABLES[side])
                made[side].append(output if side == "P" else data)
    cells["product"]["connections"] = connections
    return netlist(cells, made["P"]), made


def test_operands_and_product_move_in() -> None:
    design, nets = product()
    moved = absorb(design, "top")
    cells = design["modules"]["top"]["cells"]
    assert list(cells) == ["product"]
    assert (moved.operand_bits, moved.product_bits, moved.word_bits, moved.removed) == (5, 5, 0, 10)
    connections, parameters = cells["product"]["connections"], cells["product"]["parameters"]
    for side, bits in nets.items():
        assert [connections[f"{side}{index}"] for index in range(len(bits))] == [[bit] for bit in bits]
    for place, enable in {"OUTPUT": ENABLES["P"], "INPUTA": ENABLES["A"], "INPUTB": ENABLES["B"]}.items():
        assert parameters[f"REG_{place}_CLK"] == "CLK0"
        assert connections[parameters[f"REG_{place}_CE"]] == [enable]
        assert connections[parameters[f"REG_{place}_RST"]] == ["0"]
    assert connections["CE0"] == connections["CE3"], "which of them the product's register takes is not documented"
    assert connections["CLK0"] == [CLOCK]


def test_a_register_that_others_read_stays_too() -> None:
    design, nets = product()
    top = design["modules"]["top"]
    top["ports"]["more"] = {"direction": "output", "bits": top["cells"]["A1_register"]["connections"]["Q"]}
    assert absorb(design, "top").removed == 9
    assert "A1_register" in top["cells"]
    assert top["cells"]["product"]["connections"]["A1"] == [nets["A"][1]]


@pytest.mark.parametrize(("cell", "change", "kept"), [
    ("P2_register", {"parameters": {"REGSET": "SET"}}, "P"),            # starts at one
    ("P2_register", {"parameters": {"CLKMUX": "INV"}}, "P"),            # uses the other clock edge
    ("P2_register", {"parameters": {"CEMUX": "INV"}}, "P"),             # has an enable that the block cannot invert
    ("P2_register", {"connections": {"LSR": [99]}}, "P"),               # has a reset
    ("P2_register", {"connections": {"CE": [99]}}, "P"),                # has a different enable from the other bits
    ("A0_register", {"connections": {"LSR": [99]}}, "AB"),
    ("B1_register", {"connections": {"CLK": [99]}}, "AB"),              # has a different clock from the other operand
])
def test_what_would_change_stays(cell: str, change: dict[str, Any], kept: str) -> None:
    design, _ = product()
    for part, values in change.items():
        design["modules"]["top"]["cells"][cell][part] |= values
    before = deepcopy(design["modules"]["top"]["cells"])
    absorb(design, "top")
    after = design["modules"]["top"]["cells"]
    assert set(after) == {"product"} | {name for name in before if name[0] in kept}
    for name, bits in before["product"]["connections"].items():
        assert name[0] not in kept or after["product"]["connections"][name] == bits


def test_a_product_that_is_read_unregistered_stays() -> None:
    design, _ = product()
    top = design["modules"]["top"]
    top["ports"]["more"] = {"direction": "output", "bits": top["cells"]["product"]["connections"]["P3"]}
    assert absorb(design, "top").product_bits == 0


def memory() -> Netlist:
    """A memory: a register at each of the four bits that port B reads, and none at the four bits that port A reads."""
    ports = {f"DO{side}{index}": [20 + 10 * number + index] for number, side in enumerate("AB") for index in range(4)}
    inputs = {"CLKA": [CLOCK], "CLKB": [CLOCK], "RSTA": ["0"], "RSTB": ["0"], "OCEA": ["1"], "OCEB": ["1"]}
    cells: dict[str, Any] = {"memory": {
        "type": MEMORY, "parameters": {"REGMODE_A": "NOREG", "REGMODE_B": "NOREG"}, "connections": ports | inputs,
        "port_directions": {**dict.fromkeys(ports, "output"), **dict.fromkeys(inputs, "input")}}}
    cells |= {f"register_{index}": flip_flop(30 + index, 50 + index, 7) for index in range(4)}
    return netlist(cells, [20, 21, 22, 23, 50, 51, 52, 53])


def test_a_word_moves_into_its_memory() -> None:
    design = memory()
    assert absorb(design, "top").word_bits == 4
    cells = design["modules"]["top"]["cells"]
    assert list(cells) == ["memory"]
    parameters, connections = cells["memory"]["parameters"], cells["memory"]["connections"]
    assert (parameters["REGMODE_A"], parameters["REGMODE_B"]) == ("NOREG", "OUTREG")
    assert (connections["OCEA"], connections["OCEB"]) == (["1"], [7])
    assert [connections[f"DOB{index}"] for index in range(4)] == [[50], [51], [52], [53]]


@pytest.mark.parametrize("change", [{"RSTB": [99]}, {"CLKB": [99]}])
def test_a_word_that_the_memory_would_treat_otherwise_stays(change: dict[str, Any]) -> None:
    design = memory()
    design["modules"]["top"]["cells"]["memory"]["connections"] |= change
    before = deepcopy(design)
    assert absorb(design, "top").word_bits == 0
    assert design == before
