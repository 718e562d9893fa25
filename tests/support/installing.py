"""The project as users install it: copies of the checkout, new environments, installs without a network."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from checkout import ROOT

PACKAGES = ("isa", "hdl", "sim", "compiler", "host")
FOLDERS = ("arrayloom", *PACKAGES, "tests", "docs", "benchmarks")
FILES = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md")
LEFT_BY_RUNS = ("__pycache__", "*.egg-info", "sim_build")


def run(command: Iterable[str | Path], cwd: Path, **environment: str) -> str:
    """Runs a command that must succeed; returns its standard output."""
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False,
                          env={**os.environ, **environment}, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{done.args}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def copy_checkout(target: Path) -> Path:
    """Copies the sources without the artifacts of builds and runs."""
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, target / folder, ignore=shutil.ignore_patterns(*LEFT_BY_RUNS))
    for file in FILES:
        shutil.copy(ROOT / file, target / file)
    return target


def make_environment(folder: Path) -> Path:
    """The Python of a new environment that can import the distributions of this one, except Arrayloom.

    A folder named in a ``.pth`` file is searched, but the ``.pth`` files in it are ignored: an editable install in it, such
    as that of this checkout, is therefore not visible.
    """
    run([sys.executable, "-m", "venv", "--without-pip", folder], folder.parent)
    (packages,) = folder.glob("lib/python*/site-packages")
    others = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (packages / "dependencies.pth").write_text("".join(f"{path}\n" for path in others))
    return folder / "bin" / "python"


def install(python: Path, *what: str | Path) -> None:
    """Installs into an environment without a network."""
    run([sys.executable, "-m", "pip", "--python", python, "install", "--no-index", "--no-deps", "--no-build-isolation",
         "--ignore-installed", "-q", *what], python.parents[1])
