"""Program files with a right checksum and a wrong header: refused by name or run normally, never a traceback."""

import copy
import hashlib
import json
import random
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from host_parts import head_and_tail

from arrayloom.compiler import compile_model
from arrayloom.host.models.digits import MODEL
from arrayloom.host.runtime.session import Session
from arrayloom.isa.errors import ArrayloomError, EncodingError
from arrayloom.isa.program import LENGTH, MAGIC, Program

Header = dict[str, Any]

VALUES: list[Any] = [
    None, True, False, -1, 0, 1, 3, 2**31, 2**40, 2**63, -2**70, 1e308, float("nan"), float("inf"), 0.5, "", "x", "uint8",
    "int8", "float32", "\ud800", [], [1], [-1], [0, 2, 1], [1, 1, 1], [[0, 1]], [[0, 2**40]], {},
    {"op": "softmax", "axis": 9},
    [{"op": "softmax", "axis": -5}], [{"op": "reshape", "shape": [-1]}], [{"op": "reshape", "shape": [10**9]}],
    [{"op": "transpose", "perm": [0, 0]}], [{"op": "dequantize", "scale": 1e300, "zero_point": 2**40}],
    [{"op": "quantizedsoftmax", "axis": 1, "x_scale": 0.0, "y_scale": 0.0, "y_zero": 3}]]


@pytest.fixture(scope="module")
def good() -> tuple[Header, bytes]:
    """The header of the digits program, and the bytes after it."""
    return _taken_apart(compile_model(MODEL, config="tiny"))


def _taken_apart(program: Program) -> tuple[Header, bytes]:
    body = program.to_bytes()[:-hashlib.sha256().digest_size]
    start = len(MAGIC) + LENGTH.size
    end = start + LENGTH.unpack_from(body, len(MAGIC))[0]
    return json.loads(body[start:end]), body[end:]


def _file(header: Any, rest: bytes, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    body = MAGIC + LENGTH.pack(len(text) if length is None else length) + text + rest
    return body + hashlib.sha256(body).digest()


def _tail(*steps: dict[str, Any]) -> Callable[[Header], None]:
    return lambda header: header["outputs"][0].update(tail=list(steps))


def _set(*path: Any) -> Callable[[Header], None]:
    """Sets the value at ``path``, a sequence of keys and indices."""
    def change(header: Any) -> None:
        for key in path[:-2]:
            header = header[key]
        header[path[-2]] = path[-1]
    return change


DEQUANTIZE = {"op": "dequantize", "scale": 0.5, "zero_point": 0}


@pytest.mark.parametrize(("change", "message"), [
    (_tail({"op": "reshape", "shape": [-1]}), "host step 'reshape': shape = [-1] does not hold the elements of [10]"),
    (_tail({"op": "reshape", "shape": [2, 7]}), "shape = [2, 7] does not hold the elements of [10]"),
    (_tail({"op": "reshape", "shape": [10] + 40 * [1]}), "does not hold the elements of [10]"),
    (_tail({"op": "transpose", "perm": [0, 0]}), "host step 'transpose': perm = [0, 0] is not an order of [0, 1]"),
    (_tail({"op": "transpose", "perm": [1, 0]}), "perm = [1, 0] is not an order of [0, 1] that begins with the batch, 0"),
    (_tail({"op": "transpose", "perm": [0, -1]}), "perm = [0, -1] is not an order"),
    (_tail(DEQUANTIZE, {"op": "softmax", "axis": 2}), "host step 'softmax': axis = 2 is not from 1 to 1"),
    (_tail(DEQUANTIZE, {"op": "softmax", "axis": 0}), "axis = 0 is not from 1 to 1, the dimensions after the batch"),
    (_tail(DEQUANTIZE, {"op": "softmax", "axis": -1}), "axis = -1 is not from 1 to 1"),
    (_tail({"op": "softmax", "axis": 1}), "host step 'softmax': takes float32, not"),
    (_tail(DEQUANTIZE, DEQUANTIZE), "host step 'dequantize': takes integers, not float32"),
    (_tail(DEQUANTIZE | {"scale": float("nan")}), "host step 'dequantize': field 'scale' is nan, not a number"),
    (_tail(DEQUANTIZE | {"scale": 1e300}), "scale = 1e+300 is not a positive float32"),
    (_tail(DEQUANTIZE | {"scale": -1}), "scale = -1.0 is not a positive float32"),
    (_tail(DEQUANTIZE | {"zero_point": 256}), "zero_point = 256 is not from"),
    (_tail(DEQUANTIZE | {"zero_point": 2**70}), "field 'zero_point' is 1180591620717411303424, not an integer of 64 bits"),
    (_tail({"op": "quantizedsoftmax", "axis": 1, "x_scale": 1, "y_scale": 1e-6, "y_zero": 0}),
     "y_scale = 1e-06 is below 2**-9"),
    (_set("outputs", 0, "tail", {}), "outputs[0]: field 'tail' is {}, not a list"),
    (_set("inputs", 0, "quantize", "scale", 0), "host step 'quantize': scale = 0.0 is not a positive float32"),
    (_set("inputs", 0, "slot", "dtype", "int16"), "field 'dtype' is 'int16', not 'uint8' or 'int8'"),
    (_set("inputs", 0, "shape", [1, 3, 3]), "input 'image': shape [1, 3, 3] does not hold the"),
    (_set("inputs", 0, "slot", "address", 2**40), "input 'image': its tensor: "),
    (_set("inputs", 0, "slot", "address", -4), "input 'image': its tensor: "),
    (_set("inputs", []), "there must be one at least"),
    (_set("outputs", 0, "slot", "layout", "segments", []), "a layout holds no channels"),
    (_set("outputs", 0, "slot", "layout", "segments", [[-4, 10]]), "segments ((-4, 10),) of a layout"),
    (_set("outputs", 0, "slot", "layout", "size", 0), "a layout has words of 0 bytes, the configuration 4"),
    (_set("outputs", 0, "slot", "layout", "height", 0), "a layout of 0 rows"),
    (_set("memory_bytes", 2**60), "memory_bytes = 1152921504606846976: must be from 0 to 2**36"),
    (_set("memory_bytes", 0), "do not lie at a word within the 0 bytes of memory"),
    (_set("code_address", 1), "the instructions: "),
    (_set("notes", "text"), "notes is 'text', not a list"),
    (_set("model", "\ud800"), "model is '\\ud800', not a text"),
    (_set("layers", 0, "runs", [[0, 2**40]]), "lie outside"),
    (_set("probes", 0, 1, 2**40), "lies outside the program or its tensor"),
    (_set("probes", 0, 2, "own "), "not 'own' or 'sum' or 'lookup_table'"),
    (_set("config", "warp", 9), "field 'warp' is unknown"),
    (_set("config", "size", 5), "size = 5"),
    (_set("instruction_bytes", 2**40), "of instructions and"),
    (_set("instruction_bytes", 1), "of instructions and"),
])
def test_a_header_that_does_not_fit_is_refused(
        good: tuple[Header, bytes], change: Callable[[Header], None], message: str) -> None:
    header = copy.deepcopy(good[0])
    change(header)
    with pytest.raises(ArrayloomError, match=f"mine.loom: .*{re.escape(message)}.*; compile the model again"):
        Program.from_bytes(_file(header, good[1]), "mine.loom")


@pytest.mark.parametrize(("text", "length"), [
    (b"", None), (b"[]", None), (b"{", None), (b"\xff", None), (b"{}", 2**32 - 1), (b"[" * 100_000, None),
    (b"9" * 10_000, None)])
def test_a_header_that_is_none_is_refused(text: bytes, length: int | None) -> None:
    with pytest.raises(ArrayloomError, match=r"mine\.loom: its header is not a JSON object; compile the model again"):
        Program.from_bytes(_file(text, b"", length), "mine.loom")


def test_a_file_that_ends_within_its_header_is_refused() -> None:
    with pytest.raises(ArrayloomError, match="it ends within its header"):
        Program.from_bytes(MAGIC + b"\0" + hashlib.sha256(MAGIC + b"\0").digest())


def test_a_layout_with_its_channels_in_disorder_is_refused(good: tuple[Header, bytes]) -> None:
    header = copy.deepcopy(good[0])
    header["outputs"][0]["slot"]["layout"]["segments"] = [[4, 4], [0, 6]]
    with pytest.raises(EncodingError, match="each must begin at a multiple of 4 after the one before"):
        Program.from_bytes(_file(header, good[1]))


def test_any_change_is_refused_or_runs(good: tuple[Header, bytes]) -> None:
    rng = random.Random(5)
    fates = {_fate(_file(_changed(good[0], rng), good[1])) for _ in range(600)}
    assert fates == {"refused", "ran"}


def test_any_change_of_a_program_with_head_and_tail_is_refused_or_runs() -> None:
    header, rest = _taken_apart(compile_model(head_and_tail(), config="tiny"))
    host = {name: header[name] for name in ("model_inputs", "model_outputs", "host", "head_bytes", "tail_bytes", "inputs",
                                            "outputs", "inserted_roundings")}
    rng = random.Random(6)
    fates = {_fate(_file(header | _changed(host, rng), rest)) for _ in range(300)}
    assert fates == {"refused", "ran"}


def _changed(header: Header, rng: random.Random) -> Header:
    changed = copy.deepcopy(header)
    for _ in range(rng.choice((1, 1, 2))):
        place: Any = changed
        key = rng.choice(list(place))
        while isinstance(place[key], dict | list) and place[key] and rng.random() < 0.8:
            place = place[key]
            key = rng.choice(list(place)) if isinstance(place, dict) else rng.randrange(len(place))
        if isinstance(place, dict) and rng.random() < 0.1:
            del place[key]
        else:
            place[key] = copy.deepcopy(rng.choice(VALUES))
    return changed


def _fate(data: bytes) -> str:
    try:
        program = Program.from_bytes(data)
        with Session(program, backend="emulator") as session:
            session.run({port.name: np.zeros((1, *port.shape), port.dtype) for port in program.model_inputs})
    except ArrayloomError:
        return "refused"
    return "ran"
