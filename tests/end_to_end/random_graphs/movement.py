"""Flatten and other reshapes, Slice, Pad, Split and Gather on bytes."""

import numpy as np

from .draw import Draw, byte_range
from .sketch import Sketch, Value


def reshape(sketch: Sketch, x: Value) -> Value | None:
    """The same elements in the same order under another shape: flattened, unflattened or with extents of 1 moved."""
    draw = sketch.draw
    if len(x.shape) == 1:
        options = [_add_ones]
    elif x.shape[1:] == (1,) * x.spatial:
        options = [_flatten, _drop_ones, _drop_ones]
    else:
        options = [_flatten, _merge_rows]
    if not x.is_image:
        options = [_restore, _restore, _flatten]
    return draw.pick(options)(sketch, x)


def flatten(sketch: Sketch, x: Value) -> Value | None:
    """[N, F], by Flatten or Reshape."""
    return _flatten(sketch, x) if len(x.shape) > 1 else None


def _flatten(sketch: Sketch, x: Value) -> Value | None:
    if sketch.draw.chance(0.6):
        name = sketch.node("Flatten", [x.name], axis=sketch.draw.pick([None, 1]))
        return _same(sketch, name, x, (x.sample.size,))
    return _reshape(sketch, x, (x.sample.size,), sketch.draw.pick([[0, -1], [-1, x.sample.size]]))


def _merge_rows(sketch: Sketch, x: Value) -> Value | None:
    if len(x.shape) != 3:
        return None
    channels, height, width = x.shape
    return _reshape(sketch, x, (channels, height * width), [0, channels, -1])


def _drop_ones(sketch: Sketch, x: Value) -> Value:
    axes = sketch.constant("axes", np.arange(2, 1 + len(x.shape)))
    return _same(sketch, sketch.node("Squeeze", [x.name, axes]), x, x.shape[:1])


def _add_ones(sketch: Sketch, x: Value) -> Value:
    if sketch.draw.chance(0.5):
        name = sketch.node("Unsqueeze", [x.name, sketch.constant("axes", np.array([2, 3]))])
        return _same(sketch, name, x, (*x.shape, 1, 1))
    return _reshape(sketch, x, (*x.shape, 1, 1), [0, *x.shape, 1, 1])


def _restore(sketch: Sketch, x: Value) -> Value:
    """The image that a reshaped value was made from."""
    return _reshape(sketch, x, x.layout, [-1, *x.layout])


def _reshape(sketch: Sketch, x: Value, shape: tuple[int, ...], target: list[int]) -> Value:
    name = sketch.node("Reshape", [x.name, sketch.constant("shape", np.array(target))])
    return _same(sketch, name, x, shape)


def _same(sketch: Sketch, name: str, x: Value, shape: tuple[int, ...]) -> Value:
    return sketch.value(name, x.sample.reshape(shape), x.scale, x.zero, x.layout)


def identity(sketch: Sketch, x: Value) -> Value:
    """Identity: nothing but another name."""
    return _same(sketch, sketch.node("Identity", [x.name]), x, x.shape)


Cut = tuple[int, int, int, int]  # axis without the batch, start, end, step


def draw_cuts(draw: Draw, shape: tuple[int, ...]) -> list[Cut]:
    """Slices along one axis or more that leave something; rows and columns more often than channels."""
    axes = [axis for axis in range(len(shape)) if draw.chance(0.6 if axis else 0.4)]
    cuts = []
    for axis in axes or [draw.integer(0, len(shape) - 1)]:
        start = draw.integer(0, (shape[axis] - 1) // 2)
        end = draw.integer(start + 1, shape[axis]) if draw.chance(0.6) else shape[axis]
        cuts.append((axis, start, end, draw.pick([1, 2, 3], [5, 3, 1])))
    return cuts


def apply_cuts(values: np.ndarray, cuts: list[Cut]) -> np.ndarray:
    """The slices on an array without batch."""
    index = [slice(None)] * values.ndim
    for axis, start, end, step in cuts:
        index[axis] = slice(start, end, step)
    return values[tuple(index)]


def cut_operands(sketch: Sketch, cuts: list[Cut], shape: tuple[int, ...]) -> list[str]:
    """Initializers of a Slice; ends at the border as the border, beyond it or counted from the back."""
    ends = [sketch.draw.pick([end, 2**31 - 1]) if end == shape[axis] else sketch.draw.pick([end, end - shape[axis]])
            for axis, _, end, _ in cuts]
    columns = [[start for _, start, _, _ in cuts], ends, [axis + 1 for axis, *_ in cuts], [cut[3] for cut in cuts]]
    return [sketch.constant("cut", np.array(column)) for column in columns]


def cut(sketch: Sketch, x: Value) -> Value | None:
    """Slice."""
    if not x.is_image:
        return None
    cuts = draw_cuts(sketch.draw, x.shape)
    name = sketch.node("Slice", [x.name, *cut_operands(sketch, cuts, x.shape)])
    return sketch.value(name, np.ascontiguousarray(apply_cuts(x.sample, cuts)), x.scale, x.zero)


def draw_padding(draw: Draw, shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Elements added before and behind each axis: rows and columns mostly, channels now and then, never nothing."""
    pads = [(draw.integer(0, 3), draw.integer(0, 3)) if draw.chance(0.7 if axis else 0.25) else (0, 0)
            for axis in range(len(shape))]
    return pads if any(map(any, pads)) else [*pads[:-1], (1, 2)]


def padding_operand(sketch: Sketch, pads: list[tuple[int, int]]) -> str:
    amounts = [0, *(before for before, _ in pads), 0, *(behind for _, behind in pads)]
    return sketch.constant("pads", np.array(amounts))


def pad(sketch: Sketch, x: Value) -> Value | None:
    """Pad by a constant byte, or by 0 where the operand is left out."""
    if not x.is_image:
        return None
    draw = sketch.draw
    pads = draw_padding(draw, x.shape)
    if int(np.prod([extent + sum(pair) for extent, pair in zip(x.shape, pads, strict=True)])) > sketch.room:
        return None
    fill = draw.pick([x.zero, draw.integer(*byte_range(x.dtype))])
    inputs = [x.name, padding_operand(sketch, pads)]
    if draw.chance(0.85):
        inputs.append(sketch.constant("fill", np.array(fill, x.dtype)))
    else:
        fill = 0
    sample = np.pad(x.sample, pads, constant_values=fill)
    return sketch.value(sketch.node("Pad", inputs, mode=draw.pick([None, "constant"])), sample, x.scale, x.zero)


def split(sketch: Sketch, x: Value) -> Value | None:
    """Split of the channels in two; both parts are there to be used."""
    if not x.is_image or x.shape[0] < 2:
        return None
    first = sketch.draw.integer(1, x.shape[0] - 1)
    sizes = sketch.constant("split", np.array([first, x.shape[0] - first]))
    name = sketch.node("Split", [x.name, sizes], outputs=2, axis=1)
    other = sketch.value(f"{name}1", x.sample[first:], x.scale, x.zero)
    one = sketch.value(name, x.sample[:first], x.scale, x.zero)
    return sketch.draw.pick([one, other])


def gather(sketch: Sketch, x: Value) -> Value | None:
    """Gather of channels in any order, some twice and some not at all."""
    if not x.is_image or x.spatial < 1:
        return None
    draw = sketch.draw
    count = draw.integer(1, min(x.shape[0] + 3, 40))
    chosen = draw.rng.integers(0, x.shape[0], count)
    if draw.chance(0.5):
        chosen = draw.rng.permutation(x.shape[0])
    if chosen.size * int(np.prod(x.shape[1:])) > sketch.room:
        return None
    name = sketch.node("Gather", [x.name, sketch.constant("indices", chosen)], axis=1)
    return sketch.value(name, x.sample[chosen], x.scale, x.zero)
