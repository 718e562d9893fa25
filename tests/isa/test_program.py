"""Program files: a round trip, and refusal by name of headers that do not fit."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from arrayloom.isa.config import PRESETS
from arrayloom.isa.errors import EncodingError
from arrayloom.isa.host_parts import ModelPort
from arrayloom.isa.host_steps import Dequantize, HostStep, Quantize, Reshape, Softmax, Transpose
from arrayloom.isa.layout import Layout
from arrayloom.isa.ports import Input, Output, Slot
from arrayloom.isa.program import Program, _from_metadata

SLOT = Slot("x", 4096, Layout.canonical(4, 3, 2, 2), "uint8")


def _program(**changes: Any) -> Program:
    moves: tuple[HostStep, ...] = (Transpose((0, 3, 1, 2)), Reshape((3, 4)))
    ports = {"inputs": [Input("image", (2, 2, 3), SLOT, Quantize(0.5, 3, "uint8"), moves),
                        Input("mask", (3, 2, 2), SLOT)],
             "outputs": [Output("y", (12,), SLOT, (Dequantize(0.25, 7), Softmax(1)))], "features": None}
    values = {"configuration": PRESETS["tiny"], "model": "net", "instructions": np.zeros(0, np.uint8),
              "constants": np.zeros(0, np.uint8), "code_address": 0, "constants_address": 0, "memory_bytes": 8192,
              "layers": [], "probes": {}, "layouts": {}, "dtypes": {"x": "uint8"}, "macs": 0} | ports
    return Program(**values | changes)


def test_ports_notes_and_notices_survive_the_file() -> None:
    notice = "its weights are random"
    program = _program(notes=["a bias is quantized here", f"notice: {notice}"], notices=[notice])
    read = Program.from_bytes(program.to_bytes())
    assert (read.inputs, read.outputs) == (program.inputs, program.outputs)
    assert (read.notes, read.notices) == (program.notes, program.notices)


def test_an_input_says_what_the_model_takes() -> None:
    image, mask = _program().inputs
    assert (image.dtype, mask.dtype) == (np.dtype(np.float32), np.dtype(np.uint8))


@pytest.mark.parametrize(("change", "message"), [
    (lambda header: header["outputs"][0]["tail"][0].update(op="sigmoid"), "host step 'sigmoid': unknown"),
    (lambda header: header["outputs"][0]["tail"][1].update(base=2), "host step 'softmax': field 'base' is unknown"),
    (lambda header: header["inputs"][0].update(quantize={"op": "softmax", "axis": 1}),
     "input 'image': host step 'softmax' cannot make its integers"),
    (lambda header: header["inputs"][0].pop("moves"), "field 'moves' is missing"),
    (lambda header: header["inputs"][0].update(moves=[{"op": "sigmoid"}]), "host step 'sigmoid': unknown"),
    (lambda header: header.pop("notices"), "lacks or misspells 'notices'"),
])
def test_a_header_that_does_not_fit_is_refused(change: Callable[[dict[str, Any]], None], message: str) -> None:
    header = _program()._metadata()
    change(header)
    with pytest.raises(EncodingError, match=message):
        _from_metadata(header)


@pytest.mark.parametrize(("port", "message"), [
    (Input("x", (2, 2, 3), SLOT, None, (Softmax(1),)), "'softmax' cannot move it; only 'transpose' and 'reshape' can"),
    (Input("x", (2, 2, 3), SLOT, None, (Transpose((1, 0, 2, 3)),)), "an order of [0, 1, 2, 3] that begins with the batch"),
    (Input("x", (2, 2, 3), SLOT, None, (Reshape((5,)),)), "shape = [5] does not hold the elements of [2, 2, 3]"),
    (ModelPort("x", (3, 2, 2), "uint8", Quantize(0.5, 3, "int8")), "port 'x': encoded as int8, and it takes uint8"),
    (ModelPort("x", (3, 2, 2), "uint8", Quantize(-1.0, 3, "uint8")), "scale = -1.0 is not a positive float32"),
])
def test_an_input_that_cannot_be_moved_or_encoded_is_refused(port: Input | ModelPort, message: str) -> None:
    with pytest.raises(EncodingError, match=re.escape(message)):
        port.check(*([4] if isinstance(port, Input) else []))
