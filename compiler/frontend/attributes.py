"""Attributes of ONNX nodes, with the defaults of the ONNX specification where a node leaves them out."""

from typing import Any

import onnx

from arrayloom.compiler.frontend.report import RefusalError
from arrayloom.compiler.graph import Pads, Pair


def attribute(node: onnx.NodeProto, name: str, default: Any = None) -> Any:
    """An attribute's value as Python gives it (strings decoded), or the default."""
    for given in node.attribute:
        if given.name == name:
            value = onnx.helper.get_attribute_value(given)
            return value.decode() if isinstance(value, bytes) else value
    return default


def attributes_of(node: onnx.NodeProto) -> dict[str, Any]:
    """All attributes of a node, as `onnx.helper.make_node` takes them."""
    return {given.name: onnx.helper.get_attribute_value(given) for given in node.attribute}


def drop_attributes(node: onnx.NodeProto, *names: str) -> None:
    """Remove attributes of these names, where the node has them; in place."""
    kept = [given for given in node.attribute if given.name not in names]
    del node.attribute[:]
    node.attribute.extend(kept)


def pair(node: onnx.NodeProto, name: str, default: int = 1) -> Pair:
    """A spatial attribute as (vertical, horizontal); a 1-D one lies along the width, as [N, C, L] is [C, 1, L]."""
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
    """Padding as (top, left, bottom, right), `auto_pad` resolved by the rule of the ONNX specification.

    Parameters
    ----------
    node
        A convolution or pooling node.
    extent, output
        Height and width of its input and output.
    span
        Rows and columns a window covers, dilation included.
    strides
        Vertical and horizontal.
    """
    mode = attribute(node, "auto_pad", "NOTSET")
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        totals = [(output[i] - 1) * strides[i] + span[i] - extent[i] for i in (0, 1)]
        if min(totals) < -1:  # one row too many is left over at the end; more would be halved, to negative padding
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
