"""docs/tutorial.md, executed as it is written: its commands by bash, its Python by this interpreter."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from checkout import ROOT

TUTORIAL = ROOT / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = "@@ block"

Steps = list[tuple[str, str | None]]


def steps(language: str) -> Steps:
    """The page's blocks in a language, each with the output that is printed below it."""
    blocks = BLOCK.findall(TUTORIAL.read_text(encoding="utf-8"))
    followers = [*blocks[1:], ("", "")]
    found = [(code, text if kind == "text" else None)
             for (name, code), (kind, text) in zip(blocks, followers, strict=True) if name == language]
    assert len(found) > 4, f"the tutorial has lost its {language}"
    return found


def execute(command: list[str], blocks: Steps, mark: str, folder: Path) -> list[str]:
    """Runs the blocks as one script that prints a mark after each; every block's output."""
    script = "".join(f"{code}\n{mark}\n" for code, _ in blocks)
    done = subprocess.run([*command, script], cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env={**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout.split(f"{MARK}\n")


def compare(blocks: Steps, outputs: list[str]) -> None:
    for (code, wanted), output in zip(blocks, outputs, strict=False):
        same = wanted is None or _plain(output).endswith(_plain(wanted))
        assert same, f"{code}\nprinted\n{output}\nnot\n{wanted}"
    assert sum(wanted is not None for _, wanted in blocks) >= 2


def _plain(text: str) -> str:
    """Without the last digits of percentages: another JPEG encoder gives other ones."""
    return re.sub(r"[0-9]\.[0-9]{2}%", "#%", text.rstrip())


def test_the_tutorials_commands(tmp_path: Path) -> None:
    if not shutil.which("curl"):
        pytest.skip("curl is not installed: apt install curl")
    # The names that the page uses stand for this interpreter and this source, whatever else is installed.
    (tmp_path / "bin").mkdir()
    for name, words in (("python", '"$@"'), ("arrayloom", '-m arrayloom "$@"')):
        (tmp_path / "bin" / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words}\n')
        (tmp_path / "bin" / name).chmod(0o755)
    blocks = steps("sh")
    try:
        outputs = execute(["bash", "-e", "-u", "-o", "pipefail", "-c"],
                          [(f'export PATH="{tmp_path / "bin"}:$PATH"', None), *blocks], f"echo '{MARK}'", tmp_path)[1:]
        compare(blocks, outputs)
        answers = [output for output in outputs if '"datatype": "BYTES"' in output]
        assert len(answers) == 1
        assert re.search(r'"data": \[\s*"[^"]*:7:7"', answers[0]), answers[0]
        assert _nothing_left(tmp_path / "ws")
    finally:
        _end_services(tmp_path / "ws")


def test_the_tutorials_python(tmp_path: Path) -> None:
    blocks = steps("python")
    try:
        compare(blocks, execute([sys.executable, "-c"], blocks, f"print('{MARK}', flush=True)", tmp_path))
        assert _nothing_left(tmp_path / "ws-python")
    finally:
        _end_services(tmp_path / "ws-python")


def _nothing_left(path: Path) -> bool:
    from arrayloom.host.workspace import Workspace

    details = Workspace(path).get_details()
    return not (details["models"] or details["images"] or details["services"])


def _end_services(path: Path) -> None:
    """What a failed run has left."""
    from arrayloom.host.workspace import NotFoundError, Workspace

    try:
        services = Workspace(path).webservices
    except NotFoundError:
        return
    for service in services.values():
        service.delete()
