"""Class names in a model's metadata."""

import onnx
import pytest
from onnx import helper

from arrayloom.compiler.frontend.class_names import LARGEST_NAMES, class_names


def _named(text: str) -> onnx.ModelProto:
    model = onnx.ModelProto()
    helper.set_model_props(model, {"names": text, "stride": "32"})
    return model


@pytest.mark.parametrize("text", ["{0: 'cat', 1: 'dog'}", "{1: 'dog', 0: 'cat'}", "['cat', 'dog']"])
def test_names_as_exporters_write_them(text: str) -> None:
    assert class_names(_named(text)) == ["cat", "dog"]


@pytest.mark.parametrize("text", ["", "{}", "[]", "cat, dog", "{0: 'cat', 2: 'dog'}", "{'0': 'cat'}", "[1, 2]", "['a', 3]",
                                  "['a\\nb']", "__import__('os')", "[" * 5000, "['" + "a" * LARGEST_NAMES + "']"])
def test_anything_else_is_no_names(text: str) -> None:
    assert class_names(_named(text)) == []


def test_a_model_without_metadata() -> None:
    assert class_names(onnx.ModelProto()) == []
