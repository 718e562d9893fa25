"""The names of the classes in a model's metadata."""

import ast

import onnx

NAMES = "names"             # key of the metadata, written by Ultralytics: "{0: 'person', 1: 'bicycle'}"
LARGEST_NAMES = 1 << 20     # characters


def class_names(model: onnx.ModelProto) -> list[str]:
    """Returns the class names in the model's metadata in order; empty if there are none in a known format."""
    text = next((entry.value for entry in model.metadata_props if entry.key == NAMES), "")
    if len(text) > LARGEST_NAMES:
        return []
    try:
        names = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return []
    if isinstance(names, dict) and all(isinstance(key, int) for key in names) and sorted(names) == list(range(len(names))):
        names = [names[index] for index in range(len(names))]
    known = isinstance(names, list) and all(isinstance(name, str) and len(name.splitlines()) == 1 for name in names)
    return list(names) if known else []
