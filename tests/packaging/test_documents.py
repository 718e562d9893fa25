"""Documents name what exists, the site builds without a warning, and a commit and CI run the same checks."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from checkout import ROOT

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PATH = re.compile(r"`((?:isa|hdl|sim|compiler|host|tests|docs|benchmarks|\.ci)/[\w./-]+)`")
LINK = re.compile(r"\]\(([\w./-]+)(?:#[\w-]+)?\)")
MADE = {"docs/signoff.md", "host/serving/protocols/ping/__init__.py", "host/serving/protocols/ping/protocol.py",
        "tests/host/serving/protocols/ping/test_ping.py"}
"""Written by a command, or by who follows the page."""


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_paths_and_links_lead_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    named = {name for name in PATH.findall(text) if name not in MADE}
    assert not [name for name in named if not (ROOT / name).exists()]
    assert not [name for name in LINK.findall(text) if not (document.parent / name).exists()]


def test_documents_name_paths() -> None:
    """The expression still finds them."""
    assert sum(len(PATH.findall(path.read_text(encoding="utf-8"))) for path in DOCUMENTS) > 60


def test_the_same_checks_before_a_commit_and_in_ci() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    assert [hook["entry"] for hook in hooks] == ["ruff check .", "mypy"]
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert script.index(".pre-commit-config.yaml |") < script.index('eval "$command"')


def test_every_page_is_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    listed = set(re.findall(r": ([\w-]+\.md)$", text, re.MULTILINE))
    assert listed - {"index.md", "contributing.md", "changelog.md"} == {path.name for path in (ROOT / "docs").glob("*.md")}


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="the extra docs is not installed")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "accelerator.svg" in (tmp_path / "site" / "architecture.html").read_text(encoding="utf-8")
