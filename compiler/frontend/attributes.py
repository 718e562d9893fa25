"""Attributes of ONNX nodes, with the defaults of the ONNX specification."""

from typing import Any

import onnx

from arrayloom.compiler.frontend.report import RefusalError
from arrayloom.compiler.graph import Pads, Pair


def attribute(node: onnx.NodeProto, name: str, default: Any = None) -> Any:
    """Returns an attribute's value as a Python object (strings decoded), or the default."""
    for given in node.attribute:
        if given.name == name:
            value = onnx.helper.get_attribute_value(given)
            return value.decode() if isinstance(value, bytes) else value
    return default


def attributes_of(node: onnx.NodeProto) -> dict[str, Any]:
    """Returns all attributes of a node, in the form that `onnx.helper.make_node` takes."""
    return {given.name: onnx.helper.get_attribute_value(given) for given in node.attribute}


def drop_attributes(node: onnx.NodeProto, *names: str) -> None:
    """Removes attributes with these names from the node, in place."""
    kept = [given for given in node.attribute if given.name not in names]
    del node.attribute[:]
    node.attribute.extend(kept)


def pair(node: onnx.NodeProto, name: str, default: int = 1) -> Pair:
    """Returns a spatial attribute as (vertical, horizontal); a 1-D one is along the width, since [N, C, L] is [C, 1, L]."""
    values = attribute(node, name)
    if values is None:
        return default, default
    if len(values) == 1:
        return 1, int(values[0])
    if len(values) == 2:
        return int(values[0]), int(values[1])
    raise RefusalError(
        f"{len(values)} spatial dimensions", "use 1-D or 2-D convolution and pooling", f"{name} = {values}"
    )


def pads(node: onnx.NodeProto, extent: Pair, output: Pair, span: Pair, strides: Pair) -> Pads:
    """Returns the padding as (top, left, bottom, right), with `auto_pad` resolved as the ONNX specification defines it.

    Parameters
    ----------
    node
        A convolution or pooling node.
    extent, output
        Height and width of its input and output.
    span
        Rows and columns that a window covers, dilation included.
    strides
        Vertical and horizontal.
    """
    mode = attribute(node, "auto_pad", "NOTSET")
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        totals = [(output[i] - 1) * strides[i] + span[i] - extent[i] for i in (0, 1)]
        if min(totals) < -1:  # -1: one row at the end is unused; less: the halves would be negative
            raise RefusalError(
                "its windows skip rows or columns: ONNX Runtime and the ONNX specification place them differently",
                "give explicit pads instead",
                f"auto_pad = {mode}",
            )
        totals = [max(total, 0) for total in totals]
        small, large = ([total // 2 for total in totals], [total - total // 2 for total in totals])
        begin, end = (small, large) if mode == "SAME_UPPER" else (large, small)
        return begin[0], begin[1], end[0], end[1]
    given = attribute(node, "pads", []) if mode == "NOTSET" else []
    if len(given) == 2:
        return 0, int(given[0]), 0, int(given[1])
    top, left, bottom, right = given or (0, 0, 0, 0)
    return int(top), int(left), int(bottom), int(right)
