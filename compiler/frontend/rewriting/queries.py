"""Scores of attention, [N, H, Tq, Tk], with queries in front: [N, Tq, H, Tk], as the accelerator holds them.

Transposes around each softmax of scores change nothing for it. Between them every tensor is one that the accelerator has,
so that it can be compared.
"""

import onnx

from arrayloom.compiler.frontend.attention import SCORES, is_product, mark
from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.opsets import MICROSOFT
from arrayloom.compiler.frontend.rewriting.editor import Editor

_RANK = 4
_ORDER = (0, 2, 1, 3)


def put_queries_first(model: Model) -> Model:
    """The integer model with Transposes around each softmax of products of activations."""
    editor = Editor(model)
    for node in model.nodes:
        if _is_softmax_of_scores(model, node):
            _turn(editor, node)
    return editor.finish()


def _is_softmax_of_scores(model: Model, node: onnx.NodeProto) -> bool:
    """Whether a node is a softmax over the keys of scores, whose result multiplies values."""
    if node.op_type != "QLinearSoftmax" or node.domain != MICROSOFT or len(model.shapes[node.input[0]]) != _RANK:
        return False
    along = int(attribute(node, "axis", -1)) % _RANK == _RANK - 1
    readers = model.consumers.get(node.output[0], [])
    return along and bool(readers) and all(is_product(model, reader) for reader in readers)


def _turn(editor: Editor, node: onnx.NodeProto) -> None:
    softmax = editor.maker(node.output[0])
    result = node.output[0]
    mark(softmax, SCORES)
    stored = editor.fresh(f"{result}_by_query")
    editor.rename(result, stored)
    softmax.input[0] = editor.add("Transpose", [node.input[0]], editor.fresh(f"{node.input[0]}_by_query"), node, perm=_ORDER)
    editor.add("Transpose", [stored], result, node, perm=_ORDER)
