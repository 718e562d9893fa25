"""Files made to run code or to reach other files when a user registers, converts or opens them."""

import json
import os
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from arrayloom.compiler.errors import ModelError
from arrayloom.compiler.frontend.load import read_model
from arrayloom.host.cli.main import main
from arrayloom.host.workspace import Model, Workspace, WorkspaceError
from arrayloom.host.workspace.converter import AccelOnnxConverter
from arrayloom.host.workspace.errors import DamagedError
from arrayloom.host.workspace.image_build import open_base
from arrayloom.host.workspace.operation import Operation


class _Command:
    """A command for an unpickler to run."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self._mark),)


def _archive(path: Path, mark: Path) -> Path:
    """An archive laid out as by ``torch.export.save``, with sample inputs that PyTorch unpickles."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("net/archive_format", "pt2")
        file.writestr("net/data/sample_inputs/model.pt", pickle.dumps(_Command(mark)))
        file.writestr("net/models/model.json", "{}")
    return path


def _saved_model(folder: Path) -> Path:
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(b"\x08\x01")
    return folder


def test_files_that_hold_code_want_leave(workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With or without PyTorch and TensorFlow installed, nothing is opened or started."""
    mark = tmp_path / "was-run"
    for name, file in (("net", _archive(tmp_path / "net.pt2", mark)), ("saved", _saved_model(tmp_path / "saved"))):
        model = Model.register(workspace, file, name)
        with pytest.raises(WorkspaceError, match=r"can run any code .* register the \.onnx file, or.* --allow-code"):
            AccelOnnxConverter.convert(workspace, model)
        assert main(["convert", name, "--workspace", str(workspace.path), "--json"]) == 2
        assert "--allow-code" in json.loads(capsys.readouterr().out)["error"]
    with pytest.raises(WorkspaceError, match="--allow-code"):
        AccelOnnxConverter.convert_tf_model(workspace, Model(workspace, "saved"), "x", "y")
    assert not mark.exists()
    assert Operation.list(workspace) == []


@pytest.mark.parametrize("kind", ["initializer", "constant", "sparse"])
@pytest.mark.parametrize("location", ["../secret.bin", "a/../../secret.bin", "link.bin", "hard.bin", "ABSOLUTE"])
def test_external_data_stays_in_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str,
                                           location: str) -> None:
    secret, home = tmp_path / "secret.bin", tmp_path / "model"
    secret.write_bytes(np.arange(64, dtype=np.float32).tobytes())
    home.mkdir()
    (home / "link.bin").symlink_to(secret)
    os.link(secret, home / "hard.bin")
    model = _with_external(kind, str(secret) if location == "ABSOLUTE" else location)
    (home / "net.onnx").write_bytes(model.SerializeToString())
    monkeypatch.chdir(home)     # the path that ONNX Runtime itself would use
    with pytest.raises(ModelError, match=r"external (data|file)"):
        read_model(home / "net.onnx")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_archives_hold_files_and_folders_alone(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "base.tar", "w") as archive:
        member = tarfile.TarInfo("index.json")
        member.type, member.linkname = kind, "oci-layout"
        archive.addfile(member)
    (tmp_path / "scratch").mkdir()
    with pytest.raises(DamagedError, match=r"base \S+base\.tar: cannot be unpacked: .*index\.json"):
        open_base(tmp_path / "base.tar", tmp_path / "scratch")
    assert list((tmp_path / "scratch").iterdir()) == []


def test_links_pipes_and_devices_are_not_registered(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "net.onnx").write_bytes(b"")
    for name, make, reason in (("secret", lambda p: p.symlink_to("/etc/hostname"), "is a link to /etc/hostname"),
                               ("zero", lambda p: p.symlink_to("/dev/zero"), "is a link to /dev/zero"),
                               ("pipe", os.mkfifo, "is neither a file nor a folder")):
        path = tmp_path / "net" / name
        make(path)
        with pytest.raises(WorkspaceError, match=f"{path}: {reason}"):
            Model.register(workspace, tmp_path / "net", "net")
        path.unlink()
    (tmp_path / "link.onnx").symlink_to(tmp_path / "net" / "net.onnx")
    with pytest.raises(WorkspaceError, match=r"link\.onnx: is a link to .*; links are not followed, give the file itself"):
        Model.register(workspace, tmp_path / "link.onnx", "net")
    assert Model.list(workspace) == []


def test_external_data_is_registered_with_its_model(workspace: Workspace, tmp_path: Path) -> None:
    values = np.arange(64, dtype=np.float32)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "net.bin").write_bytes(values.tobytes())
    (tmp_path / "other.bin").write_bytes(b"not of the model")
    (tmp_path / "net.onnx").write_bytes(_with_external("initializer", "weights/net.bin").SerializeToString())
    model = Model.register(workspace, tmp_path / "net.onnx", "net")
    assert sorted(path.name for path in model.path.rglob("*")) == ["net.bin", "net.onnx", "weights"]
    read = read_model(model.file)
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(read.graph.initializer[0]), values)
    model.verify()
    (tmp_path / "net.onnx").write_bytes(_with_external("constant", "absent.bin").SerializeToString())
    with pytest.raises(WorkspaceError, match=r"keeps tensors in 'absent\.bin', and there is no such file"):
        Model.register(workspace, tmp_path / "net.onnx", "net")
    (tmp_path / "net.onnx").write_bytes(_with_external("sparse", "../secret.bin").SerializeToString())
    with pytest.raises(WorkspaceError, match="which is not in the model's folder"):
        Model.register(workspace, tmp_path / "net.onnx", "net")


def _with_external(kind: str, location: str) -> onnx.ModelProto:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[64], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    add = helper.make_node("Add", ["x", "w"], ["y"])
    graph = helper.make_graph([add], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 64])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 64])])
    if kind == "initializer":
        graph.initializer.append(tensor)
    elif kind == "sparse":
        sparse = graph.sparse_initializer.add(dims=[64])
        sparse.values.CopyFrom(tensor)
        sparse.indices.CopyFrom(helper.make_tensor("i", TensorProto.INT64, [64], range(64)))
    else:
        constant = onnx.NodeProto(op_type="Constant", output=["w"])
        constant.attribute.add(name="value", type=onnx.AttributeProto.TENSOR).t.CopyFrom(tensor)
        graph.node.insert(0, constant)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
