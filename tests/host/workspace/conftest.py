"""Workspaces: an empty one per test, and one per module with the digits network converted."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from arrayloom.host.models import digits
from arrayloom.host.workspace import Model, Workspace
from arrayloom.host.workspace.converter import AccelOnnxConverter


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "ws")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A workspace shared by the tests of a module: models ``digits`` and ``digits.loom``."""
    workspace = Workspace.create(tmp_path_factory.mktemp("shop") / "ws")
    model = Model.register(workspace, digits.MODEL, "digits")
    convert = AccelOnnxConverter.convert(workspace, model, config="tiny", preprocess="digits", labels=digits.LABELS)
    assert convert.wait_for_completion(), convert.error
    yield workspace
    for service in workspace.webservices.values():
        service.delete()


@pytest.fixture(scope="module")
def program(shop: Workspace) -> Model:
    return Model(shop, "digits.loom")
