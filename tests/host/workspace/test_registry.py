"""Workspaces and models: versions, labels, lineage, names, errors."""

import hashlib
import json
import re
import sqlite3
from pathlib import Path

import pytest

from arrayloom.host.models import digits
from arrayloom.host.workspace import (
    DamagedError,
    ExistsError,
    InUseError,
    Model,
    NotFoundError,
    Workspace,
    WorkspaceError,
    entries,
)
from arrayloom.host.workspace.database import FILE
from arrayloom.host.workspace.entries import Draft


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    path = tmp_path / "net.onnx"
    path.write_bytes(b"weights")
    return path


def test_workspaces_are_created_once_and_opened(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "ws", name="mine")
    assert Workspace(tmp_path / "ws").name == workspace.name == "mine"
    assert Workspace.create(tmp_path / "ws", exist_ok=True).name == "mine"
    with pytest.raises(ExistsError, match="is a workspace already"):
        Workspace.create(tmp_path / "ws")


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ExistsError, match=r"holds other files \(thesis\.tex\)"):
        Workspace.create(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("name", ["", "-a", ".a", "a b", "a/b", "a\n", "ä", "a" * 256, "..", "a:1"])
def test_names_that_are_none(workspace: Workspace, model_file: Path, name: str) -> None:
    with pytest.raises(WorkspaceError, match="must be 1 to 255 letters"):
        Model.register(workspace, model_file, name)
    assert Model.list(workspace) == []


@pytest.mark.parametrize("name", ["a", "0", "A-b.c_d", "a" * 255])
def test_names_that_are_some(workspace: Workspace, model_file: Path, name: str) -> None:
    assert Model.register(workspace, model_file, name).id == f"{name}:1"


def test_the_workspace_is_found_from_below_and_by_its_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = Workspace.create(tmp_path / "ws")
    project = tmp_path / "project"
    (project / "deep").mkdir(parents=True)
    workspace.write_config(project)
    monkeypatch.chdir(project / "deep")
    assert Workspace.from_config().path == workspace.path
    assert Workspace.from_config(workspace.path / "models").path == workspace.path
    with pytest.raises(NotFoundError, match="arrayloom workspace create DIR"):
        Workspace.from_config("/")


def test_configs_that_are_wrong(tmp_path: Path) -> None:
    (tmp_path / ".arrayloom").mkdir()
    (tmp_path / ".arrayloom" / "config.json").write_text('{"workspace": 3}')
    with pytest.raises(WorkspaceError, match='no text "workspace"'):
        Workspace.from_config(tmp_path)
    (tmp_path / ".arrayloom" / "config.json").write_text("{")
    with pytest.raises(WorkspaceError, match="cannot be read"):
        Workspace.from_config(tmp_path)


def test_versions_count_up_and_are_never_given_twice(workspace: Workspace, model_file: Path) -> None:
    versions = [Model.register(workspace, model_file, "net").version for _ in range(3)]
    assert versions == [1, 2, 3]
    assert Model(workspace, "net").version == 3
    assert Model(workspace, "net", 2).version == 2
    Model(workspace, "net", 3).delete()
    assert Model(workspace, "net").version == 2
    assert Model.register(workspace, model_file, "net").version == 4


def test_what_is_registered_is_a_copy(workspace: Workspace, model_file: Path) -> None:
    model = Model.register(workspace, model_file, "net", {"stage": "test"}, "a net", {"epochs": "3"})
    model_file.write_bytes(b"other")
    assert model.path.read_bytes() == b"weights"
    assert model.sha256 == hashlib.sha256(b"weights").hexdigest()
    again = Model(Workspace(workspace.path), "net")
    assert (again.tags, again.description, again.properties) == ({"stage": "test"}, "a net", {"epochs": "3"})
    json.dumps(again.serialize())


def test_sha256_is_that_of_the_file(workspace: Workspace) -> None:
    model = Model.register(workspace, digits.FLOAT_MODEL, "digits")
    assert model.sha256 == hashlib.sha256(digits.FLOAT_MODEL.read_bytes()).hexdigest()
    assert model.entry.bytes == digits.FLOAT_MODEL.stat().st_size


def test_listing_by_name_and_tag(workspace: Workspace, model_file: Path) -> None:
    Model.register(workspace, model_file, "a", {"stage": "test"})
    Model.register(workspace, model_file, "a", {"stage": "live", "gpu": ""})
    Model.register(workspace, model_file, "b", {"stage": "test"})

    def ids(**filters: object) -> list[str]:
        return [model.id for model in Model.list(workspace, **filters)]  # type: ignore[arg-type]

    assert ids() == ["b:1", "a:2", "a:1"]
    assert ids(name="a") == ["a:2", "a:1"]
    assert ids(tags=["gpu"]) == ["a:2"]
    assert ids(tags=[["stage", "test"]]) == ["b:1", "a:1"]
    assert ids(tags=["gpu", ["stage", "test"]]) == []
    assert ids(latest=True) == ["b:1", "a:2"]
    assert ids(name="c") == []
    assert sorted(workspace.models) == ["a", "b"]


def test_what_is_not_there_is_said_with_what_is(workspace: Workspace, model_file: Path) -> None:
    with pytest.raises(NotFoundError, match="its models are: none"):
        Model(workspace, "net")
    Model.register(workspace, model_file, "net")
    with pytest.raises(NotFoundError, match="no version 7; there are 1"):
        Model(workspace, "net", 7)


def test_tags_change_and_properties_do_not(workspace: Workspace, model_file: Path) -> None:
    model = Model.register(workspace, model_file, "net", {"a": "1"})
    model.add_tags({"a": "2", "b": "3"})
    model.remove_tags(["b"])
    model.add_properties({"p": "q"})
    assert (Model(workspace, "net").tags, model.properties) == ({"a": "2"}, {"p": "q"})
    with pytest.raises(WorkspaceError, match="properties do not change"):
        model.add_properties({"p": "r"})
    with pytest.raises(WorkspaceError, match="no tag 'b'"):
        model.remove_tags(["b"])
    with pytest.raises(WorkspaceError, match="must be text"):
        model.add_tags({"n": 3})  # type: ignore[dict-item]


@pytest.mark.parametrize(("make", "message"), [
    (lambda folder: folder / "absent.onnx", "no such file"),
    (lambda folder: _written(folder / "model.h5"), r"give \.onnx, \.loom, \.pt2 or the folder"),
    (lambda folder: folder, "neither a saved_model.pb nor exactly one"),
])
def test_files_that_are_no_models(workspace: Workspace, tmp_path: Path, make: object, message: str) -> None:
    with pytest.raises(WorkspaceError, match=message):
        Model.register(workspace, make(tmp_path), "net")  # type: ignore[operator]
    assert Model.list(workspace) == []


def test_folders_are_models_too(workspace: Workspace, tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    (saved / "variables").mkdir(parents=True)
    _written(saved / "saved_model.pb")
    _written(saved / "variables" / "variables.index")
    model = Model.register(workspace, saved, "tf")
    assert model.framework == "tensorflow"
    model.verify()
    copy = model.download(tmp_path / "out")
    assert (copy / "variables" / "variables.index").is_file()
    with pytest.raises(ExistsError, match="exist_ok"):
        model.download(tmp_path / "out")


def test_changed_files_are_noticed(workspace: Workspace, model_file: Path, tmp_path: Path) -> None:
    model = Model.register(workspace, model_file, "net")
    assert model.download(tmp_path / "out").read_bytes() == b"weights"
    model.path.write_bytes(b"weighty")
    with pytest.raises(DamagedError, match="changed since model net:1 was registered"):
        model.download(tmp_path / "out2")


def test_deleting_what_is_in_use_is_refused_with_the_order(workspace: Workspace, model_file: Path) -> None:
    net = Model.register(workspace, model_file, "net")
    program = _derived(workspace, "model", "program", net)
    _derived(workspace, "image", "image", program)
    _derived(workspace, "image", "second", program)
    for model in (net, Model(workspace, "program")):
        with pytest.raises(InUseError, match="delete with cascade") as refused:
            model.delete()
        assert refused.value.status == 412
        assert refused.value.dependents == ("image second:1", "image image:1")
    assert net.path.is_file()
    assert net.dependents() == ("image second:1", "image image:1")


def test_cascade_goes_in_order_and_takes_the_files(workspace: Workspace, model_file: Path) -> None:
    net = Model.register(workspace, model_file, "net")
    program = _derived(workspace, "model", "program", net)
    _derived(workspace, "image", "image", program)
    other = Model.register(workspace, model_file, "other")
    assert net.delete(cascade=True) == ("image image:1", "model net:1", "model program:1")
    assert [path.name for path in (workspace.path / "models").iterdir() if path.is_dir()] == ["other"]
    assert other.refresh().path.is_file()
    with pytest.raises(NotFoundError, match="has been deleted"):
        net.delete()


def test_a_converted_model_outlives_its_source(workspace: Workspace, model_file: Path) -> None:
    net = Model.register(workspace, model_file, "net")
    _derived(workspace, "model", "program", net)
    net.delete()
    (parent,) = Model(workspace, "program").parents
    assert (parent.reference, parent.sha256) == ("model net:1", net.sha256)


def test_an_older_or_foreign_registry_is_refused(workspace: Workspace) -> None:
    with sqlite3.connect(workspace.path / FILE) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(DamagedError, match="version 99 of the registry's format"):
        Workspace(workspace.path)
    with sqlite3.connect(workspace.path / FILE) as connection:
        connection.execute("PRAGMA application_id = 1")
    with pytest.raises(DamagedError, match="not a registry of Arrayloom's"):
        Workspace(workspace.path)
    connection.close()


def test_a_damaged_registry_is_refused(workspace: Workspace) -> None:
    for suffix in ("-wal", "-shm"):
        (workspace.path / f"{FILE}{suffix}").unlink(missing_ok=True)
    (workspace.path / FILE).write_bytes(b"no database at all, " * 400)
    with pytest.raises(DamagedError, match=re.escape(FILE)):
        Workspace(workspace.path)


def _written(path: Path) -> Path:
    path.write_bytes(b"content")
    return path


def _derived(workspace: Workspace, kind: str, name: str, parent: Model) -> Model:
    with workspace.database.write() as connection:
        details = {"framework": "arrayloom"}
        draft = Draft(kind, name, "Succeeded", details=details, parents=[entries.get(connection, parent.entry.id)])
        return Model.of(workspace, entries.insert(connection, draft, entries.next_version(connection, kind, name)))
