"""Changes to Verilator's C++: guards are grouped under common guards, and unexpected text is left unchanged.

Also the table of fields, and the harness's collection of the islands that are awake.
"""

import re
import subprocess
from itertools import pairwise

import numpy as np
import pytest

from arrayloom.sim.rtl.gcc import HARNESS
from arrayloom.sim.rtl.islands.fields import write_fields
from arrayloom.sim.rtl.islands.terms import share_awake
from arrayloom.sim.rtl.islands.triggers import LARGEST_GROUP, UnknownModelError, edit_triggers, group_blocks
from arrayloom.sim.rtl.toolchain import find_toolchain

MASKS = [0b001, 0b010, 0b100, 0b100, 0b110, 0b001]
ACTIVITY = [(0b001, 0.9), (0b110, 0.02), (0, 0.08)]
BLOCK = "    if (({mask}ULL & vlSelfRef.__VnbaTriggered[0U])) {{\n        vlSelfRef.step_{index} = 1U;\n    }}\n"
CLOCKS = "".join(f"        // 'nba' region trigger index {index} is active: @(edge clk_{index})\n" for index in range(3))


def model_text(masks=MASKS, extra=""):
    blocks = "".join(BLOCK.format(mask=hex(mask) if mask > 1 else mask, index=index) for index, mask in enumerate(masks))
    return ("#include \"Vtop.h\"\n\nvoid Vtop___024root___eval_nba(Vtop___024root* vlSelf) {\n"
            "    Vtop__Syms* const __restrict vlSymsp = vlSelf->vlSymsp;\n    auto& vlSelfRef = std::ref(*vlSelf).get();\n"
            f"    // Body\n{extra}{blocks}}}\n\nvoid behind() {{\n}}\n")


@pytest.fixture
def model(tmp_path):
    (tmp_path / "Vtop___024root__0.cpp").write_text(model_text())
    (tmp_path / "Vtop___024root__1__Slow.cpp").write_text(CLOCKS)
    return tmp_path


def test_blocks_keep_their_order_and_masks(model):
    edit_triggers(model, 3, ACTIVITY)
    text = (model / "Vtop___024root__0.cpp").read_text()
    begin, end = model_text().split("    // Body\n")[0], "}\n\nvoid behind() {\n}\n"
    assert text.startswith(begin) and text.endswith(end)
    assert text.count("const uint64_t triggers = vlSelfRef.__VnbaTriggered[0U];") == 1
    assert text.count("__VnbaTriggered") == 1
    assert [reached(text, 1 << island) for island in range(3)] == [[0, 5], [1, 4], [2, 3, 4]]
    assert reached(text, 0) == [] and reached(text, 0b111) == list(range(6))
    assert text.count("if (") > len(MASKS)     # some have a common guard
    assert text.count("__builtin_expect") > 0


def reached(text, triggers):
    """Steps that the function takes, with the guards read as Verilator's compiler would."""
    steps, open_guards = [], []
    for line in text.splitlines():
        if guard := re.search(r"if \((?:__builtin_expect\()?\((0x[0-9a-f]+)ULL & triggers\) != 0", line):
            open_guards.append(bool(int(guard[1], 16) & triggers))
        elif line.strip() == "}" and open_guards:
            open_guards.pop()
        elif (step := re.search(r"step_(\d+) = 1U", line)) and all(open_guards):
            steps.append(int(step[1]))
    return steps


UNKNOWN = {
    "no such function": (model_text().replace("eval_nba", "eval_other"), CLOCKS, "no file defines"),
    "no body": (model_text().replace("    // Body\n", ""), CLOCKS, "has no '    // Body"),
    "a statement in front": (model_text(extra="    ++vlSelfRef.count;\n"), CLOCKS, r"begins with '    \+\+vlSelfRef"),
    "a statement between": (model_text().replace("    }\n    if", "    }\n    ++vlSelfRef.count;\n    if", 1), CLOCKS,
                            "a block of eval_nba is"),
    "an else": (model_text().replace("    }\n    if", "    } else {\n        ++vlSelfRef.count;\n    }\n    if", 1), CLOCKS,
                "a block of eval_nba is"),
    "another word of triggers": (model_text().replace("Triggered[0U]", "Triggered[1U]", 1), CLOCKS,
                                 "a block of eval_nba is"),
    "another test": (model_text().replace("(0x2ULL &", "(0x2ULL | ", 1), CLOCKS, "a block of eval_nba is"),
    "another end": (model_text().replace("}\n\nvoid behind", "    ++vlSelfRef.count;\n}\n\nvoid behind"), CLOCKS,
                    "a block of eval_nba is"),
    "clocks in another order": (model_text(), CLOCKS.replace("clk_1", "clk_9").replace("clk_2", "clk_1"),
                                "have other numbers"),
    "a clock too many": (model_text(), CLOCKS + CLOCKS.replace("index 0", "index 3"), "have other numbers"),
    "a clock too few": (model_text(), CLOCKS.partition("\n")[2], "have other numbers"),
    "another comment": (model_text(), CLOCKS.replace("(edge", "(posedge"), "have other numbers"),
}


@pytest.mark.parametrize("difference", UNKNOWN)
def test_another_form_is_refused_and_left_alone(model, difference):
    text, clocks, message = UNKNOWN[difference]
    (model / "Vtop___024root__0.cpp").write_text(text)
    (model / "Vtop___024root__1__Slow.cpp").write_text(clocks)
    with pytest.raises(UnknownModelError, match=message):
        edit_triggers(model, 3, ACTIVITY)
    assert (model / "Vtop___024root__0.cpp").read_text() == text


def test_groups_cover_all_and_cost_least():
    """Against every way to cut eight blocks."""
    def cost(groups):
        return sum(1 + (share_awake(union(begin, end), ACTIVITY) * (end - begin) if end - begin > 1 else 0)
                   for begin, end in groups)

    def union(begin, end):
        return int(np.bitwise_or.reduce(masks[begin:end]))

    random = np.random.default_rng(3)
    for _ in range(5):
        masks = [int(mask) for mask in random.choice([0b001, 0b010, 0b100, 0b011], 8)]
        cuts = [[0, *(place for place in range(1, 8) if chosen >> place & 1), 8] for chosen in range(0, 256, 2)]
        best = min(cost(list(pairwise(cut))) for cut in cuts)
        groups = group_blocks(masks, ACTIVITY)
        assert [begin for begin, _ in groups] == [0, *(end for _, end in groups[:-1])] and groups[-1][1] == 8
        assert cost(groups) == pytest.approx(best)


def test_groups_are_bounded_and_none_stays_none():
    assert group_blocks([], ACTIVITY) == []
    groups = group_blocks([0b100] * 100, ACTIVITY)
    assert max(end - begin for begin, end in groups) <= LARGEST_GROUP and groups[-1][1] == 100


HEADER = """class alignas(VL_CACHE_LINE_BYTES) Vtop___024root final {
    // DESIGN SPECIFIC STATE
    VL_IN8(&clk_0,0,0);
    VL_IN8(&rst,0,0);
    VL_OUT8(&irq,0,0);
    VL_INW(&axi__rdata,127,0,4);
    VL_OUT64(&axi__araddr,39,0);
    CData/*0:0*/ held;
    VlWide<4>/*127:0*/ word;
    VlUnpacked<QData/*63:0*/, 16> memory;
    CData/*0:0*/ __VstlFirstIteration;
    VlTriggerVec<3> __VnbaTriggered;
    Vtop__Syms* const vlSymsp;
"""


def test_fields_are_what_the_design_declares():
    text = write_fields(HEADER)
    assert re.findall(r'\{"(\w+)", offsetof', text) == ["held", "word", "memory", "irq", "axi__araddr"]
    assert re.findall(r"memcpy\(&to\.(\w+), &from\.\1, sizeof to\.\1\);", text) == ["rst", "axi__rdata"]


@pytest.mark.parametrize("kept", ["VL_", "Data", "nothing"])
def test_a_header_without_signals_is_refused(kept):
    lines = [line for line in HEADER.splitlines() if (kept == "VL_") == ("VL_IN" in line) and kept != "nothing"]
    if kept == "Data":
        lines = [line for line in HEADER.splitlines() if "VL_" not in line]
    with pytest.raises(UnknownModelError, match="declares no signals"):
        write_fields("\n".join(lines))


GATHER = """
#include <cstdio>
#include "awake.h"

void Vtop___024root___eval_nba(Vtop___024root*) {}

int main() {
    uint8_t bytes[64];
    while (std::fread(bytes, 1, sizeof bytes, stdin) == sizeof bytes) {
        const uint64_t bits = arrayloom::gather_64(bytes);
        std::fwrite(&bits, 1, sizeof bits, stdout);
    }
}
"""
PINS = "#pragma once\n#include <cstdint>\nstruct Vtop___024root { uint64_t __VnbaTriggered[1]; uint8_t wake[64]; };\n" \
       "namespace arrayloom { using Pins = Vtop___024root; }\n"
ISLANDS = "namespace arrayloom { constexpr uint64_t kAllIslands = 7; constexpr size_t kFirstWake = 8; }\n"


@pytest.mark.parametrize("options", [("-mno-avx2", "-mno-avx512f"), ("-march=native",)])
def test_every_byte_becomes_its_bit(tmp_path, options):
    """With the portable code, and with the code for this processor."""
    for name, text in (("main.cpp", GATHER), ("pins.h", PINS), ("islands.h", ISLANDS)):
        (tmp_path / name).write_text(text)
    (tmp_path / "awake.h").write_text((HARNESS / "awake.h").read_text())
    command = [find_toolchain().compiler, "-std=c++20", "-O0", *options, "-I.", "main.cpp", "-o", "gather"]
    subprocess.run(command, cwd=tmp_path, check=True)
    bytes_ = np.random.default_rng(4).integers(0, 2, (500, 64), np.uint8)
    bytes_[:64] = np.eye(64, dtype=np.uint8)
    bytes_[64:66] = [[0], [1]]
    done = subprocess.run([tmp_path / "gather"], input=bytes_.tobytes(), capture_output=True, check=True)
    expected = np.packbits(bytes_, axis=1, bitorder="little").view("<u8").ravel()
    np.testing.assert_array_equal(np.frombuffer(done.stdout, np.uint64), expected)
