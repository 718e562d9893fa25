"""A full disk: failed writes are reported, and existing data stays readable."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import json, sys
from pathlib import Path
from arrayloom.host.workspace import DamagedError, Model, Workspace, WorkspaceError

place = Path(sys.argv[1])
(place / "net.onnx").write_bytes(b"net")
workspace = Workspace.create(place / "ws")
model = Model.register(workspace, place / "net.onnx", "net")
found = {}
fill = (place / "fill").open("wb", buffering=0)
try:
    while fill.write(bytes(1 << 12)):
        pass
except OSError:
    pass

def refusal(action):
    try:
        action()
    except WorkspaceError as error:
        return f"{type(error).__name__} {error}"

found["register"] = refusal(lambda: Model.register(workspace, place / "net.onnx", "net"))
found["delete"] = refusal(model.delete)
found["create"] = refusal(lambda: Workspace.create(place / "other"))
found["list"] = [model.id for model in Model.list(Workspace(place / "ws"))]
found["tags"] = refusal(lambda: model.add_tags({"a": "b"}))
fill.truncate(0)
model.add_tags({"a": "b"})
found["after"] = Model.register(workspace, place / "net.onnx", "net").id
print(json.dumps(found))
"""


def test_a_full_disk(tmp_path: Path) -> None:
    mount = f'mount -t tmpfs -o size=2m tmpfs "{tmp_path}"'
    if not shutil.which("unshare") or subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    done = subprocess.run(["unshare", "-m", "sh", "-c", f'{mount} && "$0" -c "$1" "{tmp_path}"', sys.executable, SCRIPT],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert "No space left on device" in found["register"]
    for action in ("delete", "create", "tags"):
        assert found[action].startswith("DiskFullError"), found
        assert "the disk is full; free some of it" in found[action]
    assert found["list"] == ["net:1"]
    assert found["after"].startswith("net:")
