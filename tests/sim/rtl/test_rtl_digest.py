"""The digest's C++ reads every live bit of the form, and nothing else.

It runs on the memory of a model that is never simulated, so any register can have any value.
"""

import ctypes
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from arrayloom.isa.config import PRESETS
from arrayloom.sim.rtl.build import build
from arrayloom.sim.rtl.compile import HARNESS
from arrayloom.sim.rtl.conditions import interpret
from arrayloom.sim.rtl.design import accelerator
from arrayloom.sim.rtl.digest import READ_DATA, write_digest
from arrayloom.sim.rtl.errors import BuildError
from arrayloom.sim.rtl.form import FORM, Compared, Field, Form, Ring, read_form
from arrayloom.sim.rtl.members import Member, Members
from arrayloom.sim.rtl.toolchain import find_toolchain

SOURCE = """
#include "digest.h"
#include "control_digest.h"
#include <cstddef>
extern "C" {
size_t size() { return sizeof(Vtop___024root); }
void digest(const void* root, uint64_t* out) {
    arrayloom::Digest found;
    arrayloom::add_control(*static_cast<const Vtop___024root*>(root), found);
    out[0] = found.low(), out[1] = found.high();
}
bool is_quiet(const void* root) { return arrayloom::quiet(*static_cast<const Vtop___024root*>(root)); }
size_t offset(unsigned index) {
    static const size_t all[] = {%s};
    return all[index];
}
}
"""


class Model:
    """The memory of a model, ``data``, and the places of its members."""

    def __init__(self, folder: Path) -> None:
        made = build(accelerator(PRESETS["tiny"]))
        model = made.library.parent / "model"
        form = read_form(made.verilog.with_name(FORM))
        assert form is not None
        self.form, self.members = form, Members(model)
        self._read_data = {memory: name for name, memory in READ_DATA.findall(made.verilog.read_text())}
        variables = [*(each.variable for each in form.compared), *(field.variable for field, _ in form.quiet),
                     *(field.variable for field in form.terms.values()),
                     *(field.variable for ring in form.rings for field in _fields(ring))]
        found = {variable: self.member(variable) for variable in variables}
        found |= {ring.memory: self.members.memory(ring.memory[1:]) for ring in form.rings}
        self._library = _compiled(folder, model, [member.name for member in found.values()])
        self._offsets = {variable: self._library.offset(index) for index, variable in enumerate(found)}
        self.data = np.zeros(self._library.size(), np.uint8)

    def member(self, variable: str) -> Member:
        return self.members.register(self._read_data[variable[1:]] if variable[0] == "@" else variable)

    def digest(self) -> tuple[int, int]:
        out = (ctypes.c_uint64 * 2)()
        self._library.digest(self.data.ctypes.data_as(ctypes.c_void_p), out)
        return out[0], out[1]

    def quiet(self) -> bool:
        return bool(self._library.is_quiet(self.data.ctypes.data_as(ctypes.c_void_p)))

    def flip(self, variable: str, bit: int) -> None:
        self.data[self._offsets[variable] + bit // 8] ^= 1 << bit % 8

    def get(self, field: Field) -> int:
        first = self._offsets[field.variable]
        value = int.from_bytes(self.data[first:first + -(-(field.low + field.width) // 8)].tobytes(), "little")
        return value >> field.low & (1 << field.width) - 1

    def set(self, field: Field, value: int) -> None:
        for bit in range(field.width):
            if (self.get(field) ^ value) >> bit & 1:
                self.flip(field.variable, field.low + bit)

    def words(self, ring: Ring) -> np.ndarray:
        """A view of the ring's memory: uint8[depth, bytes]."""
        member = self.members.memory(ring.memory[1:])
        size = next((size for size in (1, 2, 4, 8) if 8 * size >= member.width), -(-member.width // 32) * 4)
        first = self._offsets[ring.memory]
        return self.data[first:first + member.depth * size].reshape(member.depth, size)

    def live(self, compared: Compared) -> bool:
        return compared.live is None or interpret(compared.live, _Values(self))


class _Values:
    """The values of a condition's terms in a model."""

    def __init__(self, model: Model) -> None:
        self._get = lambda name: model.get(model.form.terms[name])

    def name(self, name: str) -> bool:
        return self._get(name) != 0

    def bit(self, name: str, index: int) -> bool:
        return bool(self._get(name) >> index & 1)

    def equality(self, name: str, value: int) -> bool:
        return self._get(name) == value

    def negation(self, operand: bool) -> bool:
        return not operand

    def conjunction(self, left: bool, right: bool) -> bool:
        return left and right

    def disjunction(self, left: bool, right: bool) -> bool:
        return left or right


def _fields(ring: Ring) -> Iterator[Field]:
    yield from (field for field in (ring.first, ring.filled, *ring.level) if field)


def _compiled(folder: Path, model: Path, names: list[str]) -> ctypes.CDLL:
    tools = find_toolchain()
    offsets = ", ".join(f"offsetof(Vtop___024root, {name})" for name in names)
    (folder / "check.cpp").write_text(SOURCE % offsets)
    subprocess.run([tools.compiler, "-std=c++20", "-O0", "-fPIC", "-shared", "-w", "-DVL_TIME_CONTEXT", f"-I{model}",
                    f"-I{HARNESS}", "-isystem", tools.include, "-isystem", tools.include / "vltstd", "check.cpp", "-o",
                    "check.so"], cwd=folder, check=True)
    library = ctypes.CDLL(str(folder / "check.so"))
    library.size.restype = library.offset.restype = ctypes.c_size_t
    library.digest.argtypes, library.digest.restype = (ctypes.c_void_p, ctypes.c_void_p), None
    library.is_quiet.argtypes, library.is_quiet.restype = (ctypes.c_void_p,), ctypes.c_bool
    return library


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return Model(tmp_path_factory.mktemp("digest"))


def filled(model: Model, seed: int) -> None:
    """Random bits everywhere, with valid pointers and levels of queues."""
    rng = np.random.default_rng(seed)
    model.data[:] = rng.integers(0, 256, model.data.size, np.uint8)
    for ring in model.form.rings:
        depth = len(model.words(ring))
        assert ring.first is not None
        if len(ring.level) == 1:
            model.set(ring.first, int(rng.integers(depth)))
            model.set(ring.level[0], int(rng.integers(depth + 1)))


BITS_TRIED = 6      # number of random states in which each bit is changed


def test_every_bit_of_the_form_counts_while_it_means_something(model):
    seen = set()
    for seed in range(60):
        filled(model, seed)
        seen |= {compared.variable for compared in model.form.compared if model.live(compared)}
        if seed >= BITS_TRIED:
            continue
        before = model.digest()
        for compared in model.form.compared:
            live = model.live(compared)
            for bit in range(compared.mask.bit_length()):
                if compared.mask >> bit & 1:
                    model.flip(compared.variable, bit)
                    # Changing a bit of a condition changes which bits are live, and the bit itself is live.
                    assert (model.digest() != before) == live, (compared.variable, bit)
                    model.flip(compared.variable, bit)
    assert seen == {compared.variable for compared in model.form.compared}


def test_nothing_else_counts(model):
    filled(model, 1)
    counted = {field.variable for ring in model.form.rings for field in _fields(ring)}
    before = model.digest()
    masks = {compared.variable: compared.mask for compared in model.form.compared}
    for variable, mask in masks.items():
        for bit in range(model.member(variable).width):
            if not mask >> bit & 1 and variable not in counted:
                model.flip(variable, bit)
                assert model.digest() == before, (variable, bit)
                model.flip(variable, bit)


def test_a_queue_may_lie_anywhere_in_its_memory_and_what_is_stale_does_not_count(model):
    rng = np.random.default_rng(4)
    for seed in range(3):
        filled(model, seed)
        for ring in model.form.rings:
            words, (first, *_) = model.words(ring), _fields(ring)
            depth, before = len(words), model.digest()
            start = model.get(first)
            level = model.get(ring.level[0])
            if len(ring.level) == 2:
                model.set(ring.filled, 1)
                model.set(ring.level[1], start)
                level = int(rng.integers(1, depth + 1))
                model.set(ring.level[0], start + level & (1 << ring.level[0].width) - 1)
                before = model.digest()
            stale = (start + level + np.arange(depth - level)) % depth
            words[stale] = rng.integers(0, 256, words[stale].shape, np.uint8)
            assert model.digest() == before, ring.memory
            step = int(rng.integers(1, depth))
            words[:] = np.roll(words, step, 0)
            if len(ring.level) == 2:
                for field in ring.level:
                    model.set(field, model.get(field) + step & (1 << field.width) - 1)
            else:
                model.set(first, (start + step) % depth)
            assert model.digest() == before, ring.memory
            if level:
                oldest = words[(start + step) % depth]
                column = next(bit for bit in range(ring.mask.bit_length()) if ring.mask >> bit & 1)
                oldest[column // 8] ^= 1 << column % 8
                assert model.digest() != before, ring.memory


def test_a_state_is_quiet_only_while_a_run_goes_on_and_no_register_is_written(model):
    for field, value in model.form.quiet:
        model.set(field, value)
    assert model.quiet()
    for field, value in model.form.quiet:
        for bit in range(field.width):
            model.set(field, value ^ 1 << bit)
            assert not model.quiet(), field
        model.set(field, value)


def test_a_register_that_the_model_lacks_fails_the_build_by_its_name(model, tmp_path):
    form = Form((Compared("\\load.nothing", 1, None),), (), (), {}, ())
    with pytest.raises(BuildError, match=r"the register 'load\.nothing' is not a member"):
        write_digest(form, model.members, "  reg [3:0] \\load.nothing ;\n", tmp_path)


def test_a_wire_is_not_taken_for_a_register(model, tmp_path):
    form = Form((Compared("\\load.asks", 1, None),), (), (), {}, ())
    with pytest.raises(BuildError, match=r"load\.asks is no register"):
        write_digest(form, model.members, "  wire \\load.asks ;\n", tmp_path)
