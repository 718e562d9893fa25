"""The names of the classes that a model's file holds."""

import ast

import onnx

NAMES = "names"             # in the metadata, as Ultralytics writes them: "{0: 'person', 1: 'bicycle'}"
LARGEST_NAMES = 1 << 20     # characters


def class_names(model: onnx.ModelProto) -> list[str]:
    """The names in the model's metadata in order; none where there are none in a form that is known."""
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
