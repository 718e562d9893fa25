"""Bundles, and one service shared by all tests of ordinary requests; attacks come from the benchmarks."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import serving
from checkout import ROOT

from arrayloom.host.serving import Bundle

sys.path.append(str(ROOT))      # last on the path, so that the installed Arrayloom is imported


@pytest.fixture(scope="session")
def bundle_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``one`` (digits:1), ``two`` (digits:2) and ``turned`` (turned:1)."""
    folder = tmp_path_factory.mktemp("bundles")
    serving.make_bundles(folder)
    return folder


@pytest.fixture(scope="session")
def bundles(bundle_folder: Path) -> dict[str, Bundle]:
    return {name: Bundle.load(bundle_folder / name) for name in ("one", "two", "turned")}


@pytest.fixture(scope="session")
def server(bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[serving.Server]:
    """A service with digits:1 on the device, digits:2 and turned:1 available, and small limits."""
    arguments = ["--max-image", "20000", "--max-pixels", "40000", "--max-message", "300000", "--max-batch", "8"]
    folders = [bundle_folder / name for name in ("one", "two", "turned")]
    with serving.Server(tmp_path_factory.mktemp("server"), *folders, *arguments) as server:
        yield server
