"""Single instructions of the emulator compared with plain numpy."""

import numpy as np
import pytest

from arrayloom.isa.arithmetic import encode_scale
from arrayloom.isa.config import PRESETS
from arrayloom.isa.fields import Unit
from arrayloom.isa.instructions import Convolve, Drain, Elementwise, LoadActivations, Pool, PoolKind, Store
from arrayloom.sim.emulator import EmulatorError, Machine, transfer
from arrayloom.sim.emulator.convolve import Convolver
from arrayloom.sim.emulator.post import Poster

CONFIG = PRESETS["tiny"]
N = CONFIG.size


def _machine(seed: int) -> tuple[Machine, np.random.Generator]:
    rng = np.random.default_rng(seed)
    machine = Machine(CONFIG, np.zeros(1 << 16, np.uint8))
    machine.activations[:] = rng.integers(-128, 128, machine.activations.shape)
    return machine, rng


def _identity_parameters(machine: Machine) -> None:
    scale = encode_scale(1.0).word
    for _ in range(CONFIG.groups):
        machine.parameters.append(np.array([[0] * CONFIG.lanes, [scale] * CONFIG.lanes], np.uint32))


@pytest.mark.parametrize("repeats", [1, 2])
@pytest.mark.parametrize(("stride", "dilation", "origin"), [(1, 1, -1), (2, 1, 0), (1, 2, -2), (3, 2, 1)])
def test_convolve_is_a_direct_convolution(stride: int, dilation: int, origin: int, repeats: int) -> None:
    machine, rng = _machine(5)
    height, width, blocks, taps = 9, 11, 2, 3
    source = machine.activations[: blocks * height * width].reshape(blocks, height, width, N).astype(np.int64)
    tiles = rng.integers(-128, 128, (blocks * taps * taps * repeats * N, N)).astype(np.int8)
    machine.weights.append(tiles)
    Convolver(machine).run(Convolve(
        row_pitch=width, plane_pitch=height * width, source_height=height, source_width=width, origin_y=origin,
        origin_x=origin, height=3, width=4, stride_y=stride, stride_x=stride, dilation_y=dilation, dilation_x=dilation,
        taps_y=taps, taps_x=taps, blocks=blocks, repeats=repeats, padding=-7, first=1, last=1))
    weights = tiles.astype(np.int64).reshape(blocks, taps, taps, repeats, N, N).sum(3)
    for (y, x) in np.ndindex(3, 4):
        expected = np.zeros(N, np.int64)
        for b, i, j in np.ndindex(blocks, taps, taps):
            iy, ix = origin + y * stride + i * dilation, origin + x * stride + j * dilation
            inside = 0 <= iy < height and 0 <= ix < width
            expected += (source[b, iy, ix] if inside else np.full(N, -7)) @ weights[b, i, j]
        np.testing.assert_array_equal(machine.full[0][y * 4 + x], expected)


@pytest.mark.parametrize("repeats", [1, 2, 3])
@pytest.mark.parametrize("byte", [127, -128])
def test_convolve_is_exact_for_the_largest_products(byte: int, repeats: int) -> None:
    """With more products than float32 can add exactly, and a sum that is odd or nearly so."""
    machine, _ = _machine(9)
    machine.activations[:] = byte
    machine.activations[7] = 1
    blocks = 700
    tiles = np.full((blocks * repeats * N, N), byte, np.int8)
    machine.weights.append(tiles)
    Convolver(machine).run(Convolve(height=1, width=1, source_height=1, source_width=1, plane_pitch=1, blocks=blocks,
                                    repeats=repeats, first=1, last=1))
    expected = N * repeats * byte * ((blocks - 1) * byte + 1)
    np.testing.assert_array_equal(machine.full[0], np.full((1, N), expected))


def test_convolve_sees_activations_written_since_the_last_one() -> None:
    machine, _ = _machine(6)
    convolver, instruction = Convolver(machine), Convolve(
        row_pitch=2, source_height=2, source_width=2, height=2, width=2, first=1, last=1)
    machine.weights.append(np.tile(np.eye(N, dtype=np.int8), (2, 1)))
    convolver.run(instruction)
    machine.activations[0] = 1
    convolver.written(0, 1)
    convolver.run(instruction)
    np.testing.assert_array_equal(machine.full[1][0], np.ones(N))


def test_drain_requantizes_and_adds() -> None:
    machine, rng = _machine(7)
    machine.full.append(rng.integers(-100, 100, (6, N)).astype(np.int32))
    sums = machine.full[0].copy()
    _identity_parameters(machine)
    residual = machine.activations[100:106].copy()
    one = 1 << 38
    Poster(machine).drain(Drain(destination=10, destination_pitch=3, height=2, width=3, zero_point=5, low=-50, high=60,
                                release_parameters=1, add=1, residual=100, residual_pitch=3, ratio_a=one, ratio_b=one,
                                add_offset=2 * one))
    expected = np.clip(np.clip(sums + 5, -50, 60) + residual.astype(int) + 2, -128, 127)
    np.testing.assert_array_equal(machine.activations[10:16], expected)
    assert not machine.parameters and not machine.full


def test_vector_goes_through_the_table_of_its_channel() -> None:
    machine, rng = _machine(8)
    table = rng.integers(-128, 128, (256, N)).astype(np.int8)
    machine.tables.append(table)
    source = machine.activations[20:24].copy()
    Poster(machine).elementwise(Elementwise(source=20, source_pitch=2, destination=40, destination_pitch=2, height=2,
                                            width=2, lookup_table=1, release_lookup_table=1))
    expected = table[source.astype(int) + 128, np.arange(N)]
    np.testing.assert_array_equal(machine.activations[40:44], expected)
    assert not machine.tables


@pytest.mark.parametrize("kind", [PoolKind.MAXIMUM, PoolKind.SUM])
def test_pool_leaves_out_what_lies_outside(kind: PoolKind) -> None:
    machine, _ = _machine(9)
    machine.activations[:16] //= 8
    _identity_parameters(machine)
    source = machine.activations[:16].reshape(4, 4, N).astype(int)
    Poster(machine).pool(Pool(kind=kind, row_pitch=4, source_height=4, source_width=4, origin_y=-1, origin_x=-1, taps_y=3,
                              taps_x=3, stride_y=2, stride_x=2, height=2, width=2, destination=50, destination_pitch=2))
    for y, x in np.ndindex(2, 2):
        patch = source[max(0, 2 * y - 1):2 * y + 2, max(0, 2 * x - 1):2 * x + 2].reshape(-1, N)
        expected = patch.max(0) if kind == PoolKind.MAXIMUM else np.clip(patch.sum(0), -128, 127)
        np.testing.assert_array_equal(machine.activations[50 + 2 * y + x], expected)


def test_store_after_load_is_a_copy() -> None:
    machine, rng = _machine(10)
    machine.memory[:256] = rng.integers(0, 256, 256)
    transfer.load_activations(machine, LoadActivations(address=16, destination=8, words=3, rows=4, memory_pitch=5,
                                                       chip_pitch=4))
    transfer.store(machine, Store(address=1024, source=8, words=3, rows=4, memory_pitch=3, chip_pitch=4))
    runs = [machine.memory[16 + row * 5 * N:][: 3 * N] for row in range(4)]
    np.testing.assert_array_equal(machine.memory[1024:1024 + 48], np.concatenate(runs))


@pytest.mark.parametrize(("instruction", "message"), [
    (Convolve(height=8, width=9, first=1), "72 pixels: an accumulator bank holds 1 to 64"),
    (Convolve(height=1, width=1, first=1), "the weight FIFO lacks 4 of 4 words"),
    (Convolve(height=1, width=1, first=1, taps_x=0), "1 x 0 taps, 1 repeats: at least one of each is needed"),
    (Convolve(height=1, width=1, first=1, repeats=0), "0 repeats: at least one of each is needed"),
])
def test_rules_of_convolve(instruction: Convolve, message: str) -> None:
    machine, _ = _machine(11)
    with pytest.raises(EmulatorError, match=message):
        Convolver(machine).run(instruction)


def test_stores_keep_to_what_may_be_written() -> None:
    machine, _ = _machine(5)
    machine.write_base = 0x100
    store = Store(address=0x100, source=0, words=4, rows=2, memory_pitch=8)
    transfer.store(machine, store)
    with pytest.raises(EmulatorError, match="a store to 0xfc: what may be written begins at 0x100"):
        transfer.store(machine, store.changed(address=0xFC))


def test_rules_of_post() -> None:
    machine, _ = _machine(12)
    with pytest.raises(EmulatorError, match="no full accumulator bank"):
        Poster(machine).drain(Drain(height=1, width=1))
    with pytest.raises(EmulatorError, match="no table in the table FIFO"):
        Poster(machine).elementwise(Elementwise(height=1, width=1, lookup_table=1))
    with pytest.raises(EmulatorError, match="leaves the scratchpad"):
        Poster(machine).elementwise(Elementwise(height=1, width=2, destination=CONFIG.activation_words - 1))
    with pytest.raises(EmulatorError, match="1 x 0 pixels of 1 x 1 taps: at least one of each is needed"):
        Poster(machine).pool(Pool(height=1, width=0, taps_y=1, taps_x=1))
    with pytest.raises(EmulatorError, match=f"word {CONFIG.activation_words} lies outside the scratchpad"):
        Poster(machine).pool(Pool(height=1, width=1, source_height=1, source_width=1, source=CONFIG.activation_words))
    Poster(machine).pool(Pool(height=1, width=1, source=CONFIG.activation_words))    # reads no word


@pytest.mark.parametrize(("fields", "message"), [
    ({"low": 3, "high": 2}, "low = 3: must not be above high = 2"),
    ({"add": 1, "add_low": 3, "add_high": 2}, "add_low = 3: must not be above add_high = 2"),
    ({"add": 1, "multiply": 1, "a_offset": -128}, "a_offset = -128: of a product must be from -127 to 128"),
    ({"add": 1, "multiply": 1, "b_offset": 129}, "b_offset = 129: of a product must be from -127 to 128"),
    ({"add": 1, "multiply": 1, "ratio_b": 1 << 38}, "ratio_b = 274877906944 and add_offset = 0: of a product must be less"),
    ({"add": 1, "multiply": 1, "add_offset": 1}, "ratio_b = 0 and add_offset = 1: of a product must be less"),
])
def test_rules_of_constants(fields: dict[str, int], message: str) -> None:
    machine, _ = _machine(15)
    for allowed in (fields | {"add": 0, "low": -128, "high": 127}, {"add": 1, "a_offset": -256, "ratio_b": 1 << 43}):
        Poster(machine).elementwise(Elementwise(height=1, width=1, **allowed))
    with pytest.raises(EmulatorError, match=message):
        Poster(machine).elementwise(Elementwise(height=1, width=1, **fields))


@pytest.mark.parametrize("extent", ["rows", "words"])
def test_rules_of_load(extent: str) -> None:
    machine, _ = _machine(14)
    with pytest.raises(EmulatorError, match="outside the scratchpad"):
        transfer.load_activations(machine, LoadActivations(**{"rows": 1, "words": 1, extent: 0}))


def test_token_that_nobody_gave() -> None:
    machine, _ = _machine(13)
    with pytest.raises(EmulatorError, match="ARRAY waits for a token of LOAD"):
        machine.take_tokens(Convolve(wait=1 << Unit.LOAD), Unit.ARRAY)


def test_a_token_is_taken_once() -> None:
    machine, _ = _machine(16)
    waits, gives = Convolve(wait=1 << Unit.LOAD), LoadActivations(signal=1 << Unit.ARRAY)
    machine.give_tokens(gives, Unit.LOAD)
    machine.give_tokens(gives, Unit.LOAD)
    for _ in range(2):
        machine.take_tokens(waits, Unit.ARRAY)
    with pytest.raises(EmulatorError, match="ARRAY waits for a token of LOAD"):
        machine.take_tokens(waits, Unit.ARRAY)


def test_no_token_for_oneself() -> None:
    machine, _ = _machine(17)
    with pytest.raises(EmulatorError, match="LOAD gives a token to itself"):
        machine.give_tokens(LoadActivations(signal=1 << Unit.LOAD), Unit.LOAD)


def _bank(machine: Machine, pixels: int, **fields: int) -> None:
    """A Convolve over the given number of pixels, with its tile."""
    machine.weights.append(np.zeros((N, N), np.int8))
    Convolver(machine).run(Convolve(height=1, width=pixels, **fields))


def test_rules_of_accumulator_banks() -> None:
    machine, _ = _machine(18)
    for first in (0, 1):
        with pytest.raises(EmulatorError, match="continued that was not begun with as many pixels"):
            _bank(machine, 2 + first, first=0)
        if not first:
            _bank(machine, 2, first=1)
    with pytest.raises(EmulatorError, match="begun while none is empty"):
        _bank(machine, 2, first=1)          # the previous bank is not full
    _bank(machine, 2, last=1)
    _bank(machine, 2, first=1, last=1)
    with pytest.raises(EmulatorError, match="begun while none is empty"):
        _bank(machine, 2, first=1)          # both banks are full
    assert [len(bank) for bank in machine.full] == [2, 2]


@pytest.mark.parametrize("width", [2, 4])
def test_a_drain_has_as_many_pixels_as_its_bank(width: int) -> None:
    machine, _ = _machine(19)
    _bank(machine, 3, first=1, last=1)
    _identity_parameters(machine)
    with pytest.raises(EmulatorError, match=f"1 x {width} pixels drained from a bank of 3"):
        Poster(machine).drain(Drain(height=1, width=width))


def test_what_a_program_must_not_leave() -> None:
    machine, _ = _machine(20)
    assert machine.left_over() == []
    machine.give_tokens(Convolve(signal=1 << Unit.POST), Unit.ARRAY)
    assert machine.left_over() == ["1 tokens of ARRAY for POST"]
    _bank(machine, 1, first=1)
    assert machine.left_over()[1:] == ["a half-filled accumulator bank"]
    _bank(machine, 1, last=1)
    assert machine.left_over()[1:] == ["full banks"]
    machine.weights.append(np.zeros((N, N), np.int8))
    _identity_parameters(machine)
    machine.tables.append(np.zeros((256, N), np.int8))
    assert machine.left_over()[1:] == ["weights", "parameters", "tables", "full banks"]
