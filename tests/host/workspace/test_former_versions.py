"""Files of earlier versions of Arrayloom are refused with a remedy."""

import hashlib
import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from arrayloom.compiler import compile_model
from arrayloom.compiler.errors import ModelError
from arrayloom.host.models import digits
from arrayloom.host.runtime.session import Session
from arrayloom.host.serving import Bundle
from arrayloom.host.serving.errors import BundleError
from arrayloom.host.serving.manifest import MANIFEST
from arrayloom.host.workspace import DamagedError, Model, Workspace, WorkspaceError
from arrayloom.host.workspace.database import FILE
from arrayloom.host.workspace.registry import MARKER
from arrayloom.isa.program import Program, ProgramError

FORMER_PROGRAM = b"WEFT\x00prog" + bytes(100)
AGAIN = "register the models there and convert them again"


@pytest.fixture
def former(tmp_path: Path) -> Path:
    """A workspace in format 1."""
    folder = tmp_path / "former"
    for part in ("staging", "models", "images", "services", "operations"):
        (folder / part).mkdir(parents=True)
    (folder / MARKER).write_text(json.dumps({"format": 1, "name": "former"}))
    with sqlite3.connect(folder / FILE) as connection:
        connection.executescript("CREATE TABLE entries (id INTEGER PRIMARY KEY); PRAGMA application_id = 1464157780; "
                                 "PRAGMA user_version = 1;")
    connection.close()
    return folder


def test_a_workspace(former: Path) -> None:
    with pytest.raises(WorkspaceError, match=rf"workspace\.json: format 1, this Arrayloom reads 2; .*{AGAIN}"):
        Workspace(former)
    with pytest.raises(WorkspaceError, match=AGAIN):
        Workspace.from_config(former / "models")
    with pytest.raises(WorkspaceError, match=AGAIN):
        Workspace.create(former, exist_ok=True)


def test_a_registry_under_a_marker_of_today(former: Path) -> None:
    (former / MARKER).write_text(json.dumps({"format": 2, "name": "former"}))
    with pytest.raises(DamagedError, match=rf"registry of an earlier version .*create a new workspace, {AGAIN}"):
        Workspace(former)


def test_a_config_on_the_way_up(tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "deep").mkdir(parents=True)
    (project / ".weft").mkdir()
    (project / ".weft" / "config.json").write_text(json.dumps({"workspace": "../former"}))
    Workspace.create(tmp_path / "ws").write_config(tmp_path)
    with pytest.raises(WorkspaceError, match=rf"config\.json: names a workspace of an earlier version .*{AGAIN}"):
        Workspace.from_config(project / "deep")
    Workspace(tmp_path / "ws").write_config(project)
    assert Workspace.from_config(project / "deep").path == tmp_path / "ws"


def test_a_program(tmp_path: Path) -> None:
    path = tmp_path / "net.loom"
    path.write_bytes(FORMER_PROGRAM)
    with pytest.raises(ProgramError, match=r"net\.loom: a program of an earlier version .*; compile the model again"):
        Program.load(path)


@pytest.mark.parametrize("name", ["net.loom", "net.weft"])
def test_a_program_where_a_model_or_a_program_is_taken(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(FORMER_PROGRAM)
    workspace = Workspace.create(tmp_path / "ws")
    with pytest.raises(ProgramError, match="compile the model again"):
        Session(path)
    with pytest.raises(ProgramError, match="compile the model again"):
        Model.register(workspace, path, "net")
    with pytest.raises(ModelError, match=rf"{name}' is a program, not an ONNX model; give the model it was compiled from"):
        compile_model(path)


def test_a_bundle(tmp_path: Path, program: Model) -> None:
    folder = tmp_path / "bundle"
    manifest = Bundle.create("digits", program.file, labels=digits.LABELS).save(folder)
    (folder / manifest.program).write_bytes(FORMER_PROGRAM)
    digests = {**manifest.sha256, manifest.program: hashlib.sha256(FORMER_PROGRAM).hexdigest()}
    (folder / MANIFEST).write_text(replace(manifest, sha256=digests).to_json())
    with pytest.raises(BundleError, match=r"a program of an earlier version .*; compile the model again"):
        Bundle.load(folder)
