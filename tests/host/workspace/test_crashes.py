"""Concurrent processes, and processes killed at any point: rows and files always agree."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from crashes import kill_at_each_point

from arrayloom.host.workspace import Model, NotFoundError, Workspace, files
from arrayloom.host.workspace.registry import MARKER

REGISTER = """
import sys
from arrayloom.host.workspace import Model, Workspace

workspace = Workspace(sys.argv[1])
print("ready", flush=True)
for i in range(int(sys.argv[3])):
    print(Model.register(workspace, sys.argv[2], "net", {"writer": sys.argv[4]}).version, flush=True)
"""


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    path = tmp_path / "net.onnx"
    path.write_bytes(bytes(range(256)) * 1000)
    return path


def check(path: Path) -> list[Model]:
    """Opens the workspace, which removes leftovers, and asserts that rows and files match."""
    workspace = Workspace(path)
    models = Model.list(workspace)
    for model in models:
        model.verify()
    on_disk = {folder for name in (path / "models").iterdir() if name.is_dir() for folder in name.iterdir()}
    assert on_disk == {model.path.parent for model in models}
    assert [item.name for item in (path / "staging").iterdir()] == [files.GATE]
    return models


def test_killed_at_any_point_of_register(workspace: Workspace, model_file: Path) -> None:
    before = Model.register(workspace, model_file, "net").version
    swept = set()
    points = 0
    for point in kill_at_each_point(lambda: Model.register(workspace, model_file, "net")):
        points = point + 1
        leftovers = Workspace(workspace.path).swept
        swept |= {path.parts[0] for path in leftovers}
        after = check(workspace.path)[0].version
        assert after in (before, before + 1), f"point {point}"
        before = after
    assert points > 20
    assert swept == {"staging", "models"}, "no child was killed with files in the making, and in place without a row"


def test_killed_at_any_point_of_delete(workspace: Workspace, model_file: Path) -> None:
    kept = Model.register(workspace, model_file, "kept")
    doomed = Model.register(workspace, model_file, "net")

    def delete() -> None:
        doomed.delete()

    for _ in kill_at_each_point(delete):
        ids = {model.id for model in check(workspace.path)}
        assert ids - {doomed.id} == {kept.id}
        if doomed.id not in ids:
            doomed = Model.register(workspace, model_file, "net")
    assert {model.id for model in check(workspace.path)} == {kept.id}


def test_killed_at_any_point_of_create(tmp_path: Path) -> None:
    path = tmp_path / "new"
    found = set()
    for _ in kill_at_each_point(lambda: Workspace.create(path)):
        found.add((path / MARKER).exists())
        if (path / MARKER).exists():
            check(path)
            (path / MARKER).unlink()
        else:
            with pytest.raises(NotFoundError):
                Workspace(path)
        check(Workspace.create(path).path)
        shutil.rmtree(path)
    check(path)
    assert found == {True, False}


def test_killed_at_random_moments_while_another_writes(workspace: Workspace, model_file: Path) -> None:
    steady = _start(workspace, model_file, 60, "steady")
    for attempt in range(4):
        victim = _start(workspace, model_file, 100_000, "victim")
        assert victim.stdout is not None
        assert victim.stdout.readline() == "ready\n"
        assert int(victim.stdout.readline()) > 0
        time.sleep(0.02 + 0.017 * attempt)
        os.kill(victim.pid, signal.SIGKILL)
        victim.communicate()
    out, _ = steady.communicate(timeout=60)
    assert steady.returncode == 0
    models = check(workspace.path)
    mine = [model for model in models if model.tags == {"writer": "steady"}]
    assert [str(model.version) for model in reversed(mine)] == out.split()[1:]
    assert len({model.version for model in models}) == len(models) > 60


def test_a_living_writers_files_are_not_swept(workspace: Workspace) -> None:
    with workspace.staged() as place:
        (place / "half").write_bytes(b"half")
        assert Workspace(workspace.path).swept == []
        assert (place / "half").exists()
    assert not place.exists()


def _start(workspace: Workspace, model_file: Path, count: int, writer: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", REGISTER, workspace.path, model_file, str(count), writer],
                            stdout=subprocess.PIPE, text=True)
