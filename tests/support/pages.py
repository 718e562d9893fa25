"""Documentation pages, executed as written: their commands by bash, their Python by this interpreter."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from checkout import ROOT

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = "@@ block"

Steps = list[tuple[str, str | None]]


def text_of(page: str) -> str:
    return (ROOT / "docs" / page).read_text(encoding="utf-8")


def steps(text: str, language: str) -> Steps:
    """A text's blocks in a language, each with the output printed below it."""
    blocks = BLOCK.findall(text)
    followers = [*blocks[1:], ("", "")]
    found = [(code, shown if kind == "text" else None)
             for (name, code), (kind, shown) in zip(blocks, followers, strict=True) if name == language]
    assert len(found) > 4, f"the page has lost its {language}"
    return found


def run_python(blocks: Steps, folder: Path) -> list[str]:
    """The output of each block."""
    return _execute([sys.executable, "-c"], blocks, f"print('{MARK}', flush=True)", folder)


def run_commands(blocks: Steps, folder: Path) -> list[str]:
    """Likewise for commands; ``python`` and ``arrayloom`` mean this interpreter and this source, whatever is installed."""
    (folder / "bin").mkdir()
    for name, words in (("python", '"$@"'), ("arrayloom", '-m arrayloom "$@"')):
        (folder / "bin" / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words}\n')
        (folder / "bin" / name).chmod(0o755)
    path = (f'export PATH="{folder / "bin"}:$PATH"', None)
    return _execute(["bash", "-e", "-u", "-o", "pipefail", "-c"], [path, *blocks], f"echo '{MARK}'", folder)[1:]


def _execute(command: list[str], blocks: Steps, mark: str, folder: Path) -> list[str]:
    """Runs the blocks as one script that prints a mark after each."""
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
    """Removes the last digits of percentages, which depend on the JPEG encoder."""
    return re.sub(r"[0-9]\.[0-9]{2}%", "#%", text.rstrip())


@contextmanager
def services_ended(path: Path) -> Iterator[None]:
    """At the end, no service of the workspace runs, not even one left by a failed page."""
    from arrayloom.host.workspace import NotFoundError, Workspace

    try:
        yield
    finally:
        try:
            services = Workspace(path).webservices
        except NotFoundError:
            services = {}
        for service in services.values():
            service.delete()


def nothing_left(path: Path) -> bool:
    from arrayloom.host.workspace import Workspace

    details = Workspace(path).get_details()
    return not (details["models"] or details["images"] or details["services"])
