"""The wheel, and an environment with it installed; each is made once."""

import shutil
import sys
from pathlib import Path

import pytest
from installing import copy_checkout, install, make_environment, run


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel built from the sdist built from the checkout."""
    folder = tmp_path_factory.mktemp("packaging")
    build = [sys.executable, "-m", "build", "--no-isolation"]
    run([*build, "--sdist", "--outdir", folder / "sdist", copy_checkout(folder / "checkout")], folder)
    (archive,) = (folder / "sdist").iterdir()
    shutil.unpack_archive(archive, folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    run([*build, "--wheel", "--outdir", folder / "wheel", unpacked], folder)
    (made,) = (folder / "wheel").iterdir()
    return made


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel installed."""
    python = make_environment(tmp_path_factory.mktemp("environment") / "venv")
    install(python, wheel)
    return python
