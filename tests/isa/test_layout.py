"""Layouts: packing and unpacking are inverse, byte for byte, and impossible layouts are refused."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from arrayloom.isa.errors import EncodingError
from arrayloom.isa.layout import Layout, Packing

SIZE = 8
PACKING = Packing(taps=3, step=2, origin=-1, columns=4, row_taps=2, row_step=3, row_origin=-1, rows=3, padding=-5)


def _tensor(channels: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(channels).integers(-128, 128, (channels, height, width)).astype(np.int8)


@pytest.mark.parametrize("layout", [
    Layout.canonical(SIZE, 11, 3, 4), Layout(SIZE, 3, 4, ((0, 5), (8, 6))), Layout(SIZE, 3, 4, ((0, 3),), pixels=2),
    Layout(SIZE, 3, 12, ((0, 5), (16, 3), (32, 2)), pixels=3)])
def test_what_is_packed_is_unpacked(layout: Layout) -> None:
    layout.check(SIZE)
    tensor = _tensor(layout.channels, layout.height, layout.width)
    data = layout.pack(tensor)
    assert data.size == layout.byte_count == layout.blocks * layout.rows * layout.columns * SIZE
    assert np.array_equal(layout.unpack(data), tensor)


def test_pixels_share_a_word() -> None:
    layout = Layout(SIZE, 2, 6, ((0, 3), (8, 2)), pixels=2)
    assert (layout.columns, layout.blocks) == (3, 2)
    tensor = _tensor(5, 2, 6)
    words = layout.pack(tensor).view(np.int8).reshape(2, 2, 3, SIZE)
    for block, first, count in ((0, 0, 3), (1, 3, 2)):
        for column in range(3):
            pair = tensor[first:first + count, :, 2 * column:2 * column + 2]
            assert np.array_equal(words[block, :, column, :count], pair[:, :, 0].T)
            assert np.array_equal(words[block, :, column, count:2 * count], pair[:, :, 1].T)
            assert not words[block, :, column, 2 * count:].any()


def test_windows_hold_the_pixels_under_them() -> None:
    layout = Layout.packed(SIZE, 2, 6, 7, PACKING)
    layout.check(SIZE)
    tensor = _tensor(2, 6, 7)
    words = layout.pack(tensor).view(np.int8).reshape(layout.blocks, 3, 4, SIZE).transpose(0, 3, 1, 2).reshape(-1, 3, 4)
    for row in range(3):
        for column in range(4):
            for tap in range(6):
                y, x = row * 3 - 1 + tap // 3, column * 2 - 1 + tap % 3
                inside = 0 <= y < 6 and 0 <= x < 7
                expected = tensor[:, y, x].tolist() if inside else [-5, -5]
                assert words[2 * tap:2 * tap + 2, row, column].tolist() == expected
    assert not words[12:].any()
    with pytest.raises(EncodingError, match="not read back"):
        layout.unpack(layout.pack(tensor))


@pytest.mark.parametrize(("change", "message"), [
    ({"taps": 0}, "must be positive"), ({"row_taps": 0}, "must be positive"), ({"step": -1}, "must be positive"),
    ({"row_step": 0}, "must be positive"), ({"rows": 0}, "must be positive"), ({"columns": -3}, "must be positive"),
    ({"padding": 128}, "signed byte"), ({"origin": -(1 << 16)}, "beyond the image"), ({"row_origin": 1 << 17}, "beyond"),
    ({"columns": 1 << 30}, "beyond the image"), ({"rows": 1 << 30}, "beyond the image"), ({"row_step": 1 << 60}, "beyond"),
    ({"row_taps": 1 << 40}, "beyond the image"), ({"taps": 1 << 40}, "beyond the image")])
def test_a_packing_that_cannot_be_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(EncodingError, match=message):
        Layout.packed(SIZE, 2, 6, 7, replace(PACKING, **change)).check(SIZE)


@pytest.mark.parametrize(("layout", "message"), [
    (Layout(SIZE, 3, 4, ((0, 3),), pixels=0), "0 pixels in a word"), (Layout(SIZE, 3, 4, ((0, 3),), pixels=-2), "-2 pixels"),
    (Layout(SIZE, 3, 5, ((0, 3),), pixels=2), "2 pixels in a word, 5 in a row"),
    (Layout(SIZE, 6, 8, ((0, 2),), PACKING, 2), "2 pixels"), (Layout(SIZE, 3, 4, ((0, 5), (8, 2)), pixels=2), "segments"),
    (Layout(SIZE, 3, 4, ((0, 5), (12, 2))), "multiple of 8"), (Layout(SIZE, 3, 4, ()), "no channels"),
    (Layout(4, 3, 4, ((0, 3),)), "words of 4 bytes"), (Layout(SIZE, 0, 4, ((0, 3),)), "holds nothing")])
def test_a_layout_that_cannot_be_is_refused(layout: Layout, message: str) -> None:
    with pytest.raises(EncodingError, match=message):
        layout.check(SIZE)
