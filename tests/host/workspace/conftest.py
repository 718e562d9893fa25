"""An empty workspace for each test."""

from pathlib import Path

import pytest

from host.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "ws")
