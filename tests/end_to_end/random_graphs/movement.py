"""Flatten and other reshapes, Slice, Pad, Split, Gather, Transpose and Resize on bytes."""

import numpy as np

from .draw import Draw, byte_range
from .sketch import Sketch, Value


def reshape(sketch: Sketch, x: Value) -> Value | None:
    """The same elements in the same order in another shape: flattened, unflattened or with extents of 1 moved."""
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
    """Reshapes a value back to the image that it was made from."""
    return _reshape(sketch, x, x.layout, [-1, *x.layout])


def _reshape(sketch: Sketch, x: Value, shape: tuple[int, ...], target: list[int]) -> Value:
    name = sketch.node("Reshape", [x.name, sketch.constant("shape", np.array(target))])
    return _same(sketch, name, x, shape)


def _same(sketch: Sketch, name: str, x: Value, shape: tuple[int, ...]) -> Value:
    return sketch.value(name, x.sample.reshape(shape), x.scale, x.zero, x.layout)


def identity(sketch: Sketch, x: Value) -> Value:
    """Identity: only a new name."""
    return _same(sketch, sketch.node("Identity", [x.name]), x, x.shape)


Cut = tuple[int, int, int, int]  # axis without the batch, start, end, step


def draw_cuts(draw: Draw, shape: tuple[int, ...]) -> list[Cut]:
    """Slices along one or more axes with a non-empty result; mostly rows and columns, sometimes channels."""
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
    """Initializers of a Slice; an end at the border is given as such, beyond it, or counted from the back."""
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
    """Elements added before and after each axis: mostly rows and columns, sometimes channels, at least one."""
    pads = [(draw.integer(0, 3), draw.integer(0, 3)) if draw.chance(0.7 if axis else 0.25) else (0, 0)
            for axis in range(len(shape))]
    return pads if any(map(any, pads)) else [*pads[:-1], (1, 2)]


def padding_operand(sketch: Sketch, pads: list[tuple[int, int]]) -> str:
    amounts = [0, *(before for before, _ in pads), 0, *(behind for _, behind in pads)]
    return sketch.constant("pads", np.array(amounts))


def pad(sketch: Sketch, x: Value) -> Value | None:
    """Pad by a constant byte, or by 0 if the operand is omitted."""
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
    """Split of the channels in two parts, both available to later nodes."""
    if not x.is_image or x.shape[0] < 2:
        return None
    first = sketch.draw.integer(1, x.shape[0] - 1)
    sizes = sketch.constant("split", np.array([first, x.shape[0] - first]))
    name = sketch.node("Split", [x.name, sizes], outputs=2, axis=1)
    other = sketch.value(f"{name}1", x.sample[first:], x.scale, x.zero)
    one = sketch.value(name, x.sample[:first], x.scale, x.zero)
    return sketch.draw.pick([one, other])


def gather(sketch: Sketch, x: Value) -> Value | None:
    """Gather of channels, rows or columns in any order, with repeats and omissions."""
    if not x.is_image or x.spatial < 1:
        return None
    draw = sketch.draw
    axis = draw.pick(range(len(x.shape)), [4, *[1] * x.spatial])
    extent = x.shape[axis]
    chosen = draw.rng.integers(0, extent, draw.integer(1, min(extent + 3, 40)))
    if draw.chance(0.5):
        chosen = draw.rng.permutation(extent)
    if chosen.size * x.sample.size // extent > sketch.room:
        return None
    name = sketch.node("Gather", [x.name, sketch.constant("indices", chosen)], axis=1 + axis)
    return sketch.value(name, np.take(x.sample, chosen, axis), x.scale, x.zero)


def flip(sketch: Sketch, x: Value) -> Value | None:
    """Rows or columns in reverse order."""
    if not x.is_image or x.spatial < 1:
        return None
    axis = sketch.draw.integer(1, x.spatial)
    operands = [sketch.constant("flip", np.array([value])) for value in (-1, -(2**31), axis + 1, -1)]
    return sketch.value(sketch.node("Slice", [x.name, *operands]), np.flip(x.sample, axis).copy(), x.scale, x.zero)


def swap(sketch: Sketch, x: Value) -> Value | None:
    """Transposes rows and columns."""
    if not x.is_image or x.spatial != 2:
        return None
    name = sketch.node("Transpose", [x.name], perm=[0, 1, 3, 2])
    return sketch.value(name, np.ascontiguousarray(x.sample.swapaxes(1, 2)), x.scale, x.zero)


def enlarge(sketch: Sketch, x: Value) -> Value | None:
    """Resize to the nearest pixel, two or three times as high or wide; the sample is right except at some borders."""
    draw = sketch.draw
    factors = draw.pick([(2, 2), (1, 2), (3, 1), (2, 3)])
    if not x.is_image or x.spatial != 2 or x.sample.size * factors[0] * factors[1] > sketch.room:
        return None
    scales = sketch.constant("scales", np.array([1, 1, *factors], np.float32))
    name = sketch.node("Resize", [x.name, "", scales], mode="nearest", nearest_mode=draw.pick(["floor", "ceil"]),
                       coordinate_transformation_mode=draw.pick(["asymmetric", "half_pixel"]))
    return sketch.value(name, x.sample.repeat(factors[0], 1).repeat(factors[1], 2), x.scale, x.zero)


def insert(sketch: Sketch, x: Value) -> Value | None:
    """Inserts one or two zero points after each pixel, as before the convolution of a transposed convolution."""
    draw = sketch.draw
    rows, columns = draw.pick([(2, 2), (1, 2), (3, 2)])
    if not x.is_image or x.spatial != 2 or x.sample.size * rows * columns > sketch.room:
        return None
    channels, height, width = x.shape
    apart = sketch.node("Reshape", [x.name, sketch.constant("shape", np.array([0, channels, height, 1, width, 1]))])
    amounts = sketch.constant("pads", np.array([0] * 6 + [0, 0, 0, rows - 1, 0, columns - 1]))
    padded = sketch.node("Pad", [apart, amounts, sketch.constant("fill", np.array(x.zero, x.dtype))])
    shape = sketch.constant("shape", np.array([0, channels, height * rows, width * columns]))
    sample = np.full((channels, height * rows, width * columns), x.zero, x.dtype)
    sample[:, ::rows, ::columns] = x.sample
    return sketch.value(sketch.node("Reshape", [padded, shape]), sample, x.scale, x.zero)
