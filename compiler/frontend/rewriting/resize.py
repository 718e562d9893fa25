"""Linear Resize of integers, with the results of ONNX Runtime's kernel for bytes: the float sum, truncated towards zero.

If the weights are multiples of a power of two, the float sum is exact, and truncating equals rounding after a little less
than half a step is subtracted, which the bias of a convolution does. For other weights the truncated result depends on float
rounding.
"""

from contextlib import suppress

import numpy as np
import onnx

from arrayloom.compiler.frontend.interpolation import interpolated_axes
from arrayloom.compiler.frontend.kinds import is_interpolation
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.opsets import CLIP_OPSET, MICROSOFT
from arrayloom.compiler.frontend.options import ImportOptions
from arrayloom.compiler.frontend.quantization import BYTES
from arrayloom.compiler.frontend.report import RefusalError, Report
from arrayloom.compiler.frontend.rewriting.editor import Editor


def resize_integers(model: Model, report: Report, options: ImportOptions) -> Model:  # noqa: ARG001
    """Replaces every linear Resize of bytes by Gathers and a QLinearConv; int8 needs two, one for each sign."""
    editor = Editor(model)
    for node in model.nodes:
        if is_interpolation(node) and model.dtypes[node.output[0]] in BYTES and not model.is_constant(node.output[0]):
            with suppress(RefusalError):  # the rule for movements refuses the node
                _Replacement(editor, node).write()
    return editor.finish()


class _Replacement:
    def __init__(self, editor: Editor, node: onnx.NodeProto) -> None:
        self._editor, self._node = editor, node
        self._dtype = editor.model.dtypes[node.output[0]]
        self._axes = interpolated_axes(editor.model, node)
        self._kernel = 2 * _product([axis.kernel for axis in self._axes])  # doubled: the bias is just below half a step
        self._parts = int(self._kernel.sum())
        self._check()

    def write(self) -> None:
        editor, node, output = self._editor, self._node, self._node.output[0]
        editor.remove([node])
        x = node.input[0]
        for number, axis in enumerate(self._axes, start=2):
            places = editor.constant(f"{output}_places", axis.places)
            x = editor.add("Gather", [x, places], editor.fresh(f"{output}_spread"), node, axis=number)
        if self._dtype == np.uint8:
            self._convolve(x, output, 1 - self._parts // 2)
            return
        below = self._clipped(x, f"{output}_below", self._parts // 2 - 1, (-128, 0))
        above = self._clipped(x, f"{output}_above", 1 - self._parts // 2, (0, 127))
        names = [name for value in (below, above) for name in (value, *self._unit())]
        editor.add("QLinearAdd", [*names, *self._unit()], output, node, domain=MICROSOFT)

    def _convolve(self, x: str, output: str, bias: int) -> None:
        editor, channels = self._editor, self._editor.model.shapes[self._node.input[0]][1]
        weight = np.broadcast_to(self._kernel, (channels, 1, *self._kernel.shape)).astype(self._dtype)
        constants = [editor.constant(f"{output}_weight", weight),
                     editor.constant(f"{output}_weight_scale", np.array(1 / self._parts, np.float32)),
                     editor.constant(f"{output}_weight_zero", np.array(0, self._dtype))]
        last = editor.constant(f"{output}_bias", np.full(channels, bias, np.int32))
        strides = [axis.stride for axis in self._axes]
        inputs = [x, *self._unit(), *constants, *self._unit(), last]
        editor.add("QLinearConv", inputs, output, self._node, group=channels, strides=strides)

    def _clipped(self, x: str, name: str, bias: int, bounds: tuple[int, int]) -> str:
        editor = self._editor
        whole = editor.fresh(f"{name}_whole")
        self._convolve(x, whole, bias)
        limits = [editor.constant(f"{name}_bound", np.array(bound, self._dtype)) for bound in bounds]
        return editor.add("Clip", [whole, *limits], editor.fresh(name), self._node)

    def _unit(self) -> list[str]:
        """Returns scale 1 and zero point 0, with which the bytes themselves are interpolated."""
        output = self._node.output[0]
        return [self._editor.constant(f"{output}_scale", np.array(1, np.float32)),
                self._editor.constant(f"{output}_zero", np.array(0, self._dtype))]

    def _check(self) -> None:
        """Raises RefusalError if float rounding affects results or the weights do not fit.

        The node then stays, and the rule for movements refuses it.
        """
        exact = all(axis.error == 0 and axis.parts & (axis.parts - 1) == 0 for axis in self._axes)
        fits = self._kernel.max() <= np.iinfo(self._dtype).max
        if not exact or not fits or (self._dtype == np.int8 and self._editor.model.opset < CLIP_OPSET):
            raise RefusalError("it interpolates between integers", "quantize the network in QDQ format")


def _product(kernels: list[np.ndarray]) -> np.ndarray:
    result = np.ones((), np.int64)
    for kernel in kernels:
        result = np.multiply.outer(result, kernel)
    return result

