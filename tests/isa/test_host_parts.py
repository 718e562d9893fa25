"""Head and tail in program files: a round trip, and parts from any source run only if they are harmless."""

import json
from collections.abc import Callable
from typing import Any

import host_parts
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from arrayloom.compiler import compile_model
from arrayloom.isa.errors import ArrayloomError, EncodingError
from arrayloom.isa.host_part_check import read_part
from arrayloom.isa.host_parts import HostPart, InsertedRounding, ModelPort
from arrayloom.isa.program import Program, ProgramError


@pytest.fixture(scope="module")
def program() -> Program:
    return compile_model(host_parts.head_and_tail(), "tiny")


def test_the_file_holds_head_tail_and_the_models_ports(program: Program) -> None:
    program.inserted_roundings = [InsertedRounding("sum", "add", 0.5, 3, "uint8")]
    read = Program.from_bytes(program.to_bytes())
    assert read.host == program.host
    assert [node["op"] for node in read.host.to_json()["head"]] == ["Cast", "Div", "Sub"]
    assert read.model_inputs == [ModelPort("picture", (3, 8, 8), "uint8")]
    assert read.model_outputs == [ModelPort("boxes", (64, 4), "float32"), ModelPort("scores", (64, 2), "float32")]
    assert read.inserted_roundings == program.inserted_roundings
    assert [port.name for port in read.inputs] != [port.name for port in read.model_inputs]


def test_a_byte_of_a_part_that_changed_is_found(program: Program) -> None:
    data = bytearray(program.to_bytes())
    data[-40] ^= 1
    with pytest.raises(ProgramError, match="damaged"):
        Program.from_bytes(bytes(data))


def _changed(program: Program, change: Callable[[dict[str, Any]], None]) -> bytes:
    """The file with another header and a valid checksum."""
    class Other(Program):
        def _metadata(self) -> dict[str, Any]:
            header = json.loads(json.dumps(super()._metadata()))
            change(header)
            return header

    return Other(**{name: getattr(program, name) for name in Program.__dataclass_fields__}).to_bytes()


@pytest.mark.parametrize(("change", "message"), [
    (lambda header: header.pop("host"), "the program's header: host is None, not an object"),
    (lambda header: header["host"].update(macs="many"), "field 'macs' is 'many', not an integer"),
    (lambda header: header["host"].update(middle=[]), "field 'middle' is unknown"),
    (lambda header: header["host"]["tail"][0].update(op=3), r"host: tail\[0\]: field 'op' is 3, not a text"),
    (lambda header: header.update(tail_bytes=3), "of the host's part"),
    (lambda header: header.update(head_bytes=-1), "of the host's part"),
    (lambda header: header.pop("model_inputs"), "lacks or misspells 'model_inputs'"),
    (lambda header: header["model_inputs"][0].update(name="other"), "value 'picture': the host's head needs it"),
    (lambda header: header["model_inputs"][0].update(dtype="object"), "field 'dtype' is 'object', not"),
    (lambda header: header["model_inputs"][0].update(shape=[-3, 8, 8]), "port 'picture': no array has the shape"),
    (lambda header: header["model_outputs"][0].update(name="no"), "value 'no': the model needs it"),
    (lambda header: header["model_outputs"].append(header["model_outputs"][0]), "each with its own name"),
    (lambda header: header["inputs"][0].update(name="elsewhere"), "value 'elsewhere': the accelerator needs it"),
    (lambda header: header["outputs"][0].update(name="elsewhere"), "the host's tail needs it, and nothing before makes it"),
    (lambda header: header.update(inserted_roundings=[{"value": "x"}]), "field 'node' is missing"),
])
def test_a_header_that_does_not_fit_is_refused(program: Program, change: Callable[[dict[str, Any]], None],
                                               message: str) -> None:
    with pytest.raises(ArrayloomError, match=message) as caught:
        Program.from_bytes(_changed(program, change))
    assert "compile the model again" in str(caught.value)


def test_nodes_without_a_model_of_them_are_refused() -> None:
    plain = compile_model(host_parts.float_classifier(), "tiny", host_parts.ANY)
    change = _changed(plain, lambda header: header["host"].update(head=[{"name": "cast", "op": "Cast"}]))
    with pytest.raises(EncodingError, match="head names nodes, and the file holds no model of them"):
        Program.from_bytes(change)


def test_a_port_that_the_accelerator_has_otherwise_is_refused() -> None:
    plain = compile_model(host_parts.float_classifier(), "tiny", host_parts.ANY)
    change = _changed(plain, lambda header: header["model_inputs"][0].update(shape=[3, 4, 16]))
    with pytest.raises(EncodingError, match=r"input 'image': the model has \[3, 4, 16\] float32 there, the accelerator"):
        Program.from_bytes(change)


def _part(nodes: list[onnx.NodeProto], **more: Any) -> HostPart:
    graph = helper.make_graph(nodes, "part", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    return HostPart(helper.make_model(graph, **more).SerializeToString())


def _elsewhere() -> onnx.TensorProto:
    tensor = onnx.numpy_helper.from_array(np.zeros(3, np.float32), "secret")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    return tensor


def _if(inner: onnx.NodeProto) -> onnx.NodeProto:
    branch = helper.make_graph([inner], "branch", [], [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)])
    return helper.make_node("If", ["x"], ["y"], "choice", then_branch=branch, else_branch=branch)


@pytest.mark.parametrize(("part", "message"), [
    (HostPart(b"\xff\xff"), "the host's tail is not an ONNX model"),
    (HostPart(b""), "holds no nodes"),
    (_part([helper.make_node("Shell", ["x"], ["y"], "run", domain="com.evil")]), r"com.evil.Shell 'run': the host does not"),
    (_part([helper.make_node("Loop", ["x"], ["y"], "forever")]), "Loop 'forever': the host does not compute"),
    (_part([helper.make_node("RandomNormal", [], ["y"], "dice", shape=[3])]), "RandomNormal 'dice'"),
    (_part([helper.make_node("Relu", ["x"], ["y"], domain="com.microsoft")]), "com.microsoft.Relu 'y'"),
    (_part([_if(helper.make_node("Loop", ["x"], ["z"], "inside"))]), "Loop 'inside'"),
    (_part([helper.make_node("Constant", [], ["y"], "file", value=_elsewhere())]), "'file': its data lie in another file"),
    (_part([_if(helper.make_node("Constant", [], ["z"], "deep", value=_elsewhere()))]), "'deep': its data lie in another"),
    (_part([helper.make_node("Own", ["x"], ["y"], domain="own")], functions=[
        helper.make_function("own", "Own", ["x"], ["y"], [helper.make_node("Relu", ["x"], ["y"])],
                             [helper.make_opsetid("", 17)])]), "functions of its own"),
])
def test_a_part_that_could_do_harm_is_refused(part: HostPart, message: str) -> None:
    with pytest.raises(EncodingError, match=message):
        read_part(part, "tail")


def test_a_part_in_a_file_is_checked(program: Program) -> None:
    bad = _part([helper.make_node("Loop", ["x"], ["y"], "forever")])
    values = {name: getattr(program, name) for name in Program.__dataclass_fields__}
    work = type(program.host)(program.host.head, bad, 0, 0.0)
    with pytest.raises(EncodingError, match=r"the host's tail: Loop 'forever'.*; compile the model again"):
        Program.from_bytes(Program(**values | {"host": work}).to_bytes())


def test_branches_of_known_operators_are_run() -> None:
    assert read_part(_part([_if(helper.make_node("Relu", ["x"], ["z"]))]), "head").graph.node[0].op_type == "If"
