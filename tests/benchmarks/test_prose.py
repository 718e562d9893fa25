"""Samples of the project's prose are the same for the same seed, and the avoided words stay out."""

import json
import subprocess
from pathlib import Path

import pytest

from arrayloom.host.runtime.errors import InputError
from benchmarks.prose.__main__ import draw, main
from benchmarks.prose.checkout import ROOT, passages_of
from benchmarks.prose.other_source import commented_passages, document_passages
from benchmarks.prose.passage import Kind, Passage
from benchmarks.prose.python_source import python_passages
from benchmarks.prose.words import findings

EXEMPT = {Path("benchmarks/prose/words.py"), Path("tests/benchmarks/test_prose.py")}     # they name the words
SOURCE = '''"""The module has a docstring."""

LIMIT = 3       # of the largest number of things
# Two lines
# of one comment.
NAMES = ("a", "key-of-json", "%d")  # noqa: E501


def act(name: str) -> None:
    """The function has one, too.

    Of two paragraphs.
    """
    raise ValueError(f"{name!r}: cannot be found here; "
                     "give another name")
'''
pytestmark = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a checkout")


@pytest.fixture(scope="module")
def passages() -> list[Passage]:
    return passages_of()


def test_no_passage_has_an_avoided_word(passages: list[Passage]) -> None:
    found = [str(finding) for finding in findings(passages) if finding.passage.path not in EXEMPT]
    assert not found, "reword these, or explain an allowance in benchmarks/prose/words.py:\n" + "\n".join(found)


def test_every_kind_is_drawn(passages: list[Passage]) -> None:
    kinds = {passage.kind for passage in draw(passages, seed=1, samples=200)}
    assert kinds == set(Kind)


def test_the_seed_determines_the_samples(passages: list[Passage]) -> None:
    assert draw(passages, 5, 20) == draw(passages, 5, 20) != draw(passages, 6, 20)
    assert len(set(draw(passages, 5, 20))) == 20


@pytest.mark.parametrize("samples", [0, 10**9])
def test_an_impossible_number_of_samples_is_refused(samples: int, passages: list[Passage]) -> None:
    with pytest.raises(InputError, match=rf"--samples {samples}: must be from 1 to {len(passages)}"):
        draw(passages, 0, samples)


def test_python_is_cut_into_comments_docstrings_and_messages() -> None:
    found = {(one.line, one.kind, one.text) for one in python_passages(Path("a.py"), SOURCE)}
    assert found == {
        (1, Kind.DOCSTRING, "The module has a docstring."),
        (3, Kind.COMMENT, "of the largest number of things"),
        (4, Kind.COMMENT, "Two lines of one comment."),
        (10, Kind.DOCSTRING, "The function has one, too.\n\n    Of two paragraphs."),
        (14, Kind.MESSAGE, "{name}: cannot be found here; give another name"),
    }


def test_a_document_is_cut_into_paragraphs_items_and_rows() -> None:
    text = ("# A title\n\nA paragraph\nof two lines.\n\n    some code here\n\n- an item\n  of a list\n- another\n\n"
            "```\ncode\n```\n| a row |\n")
    found = [(one.line, one.text) for one in document_passages(Path("a.md"), text)]
    assert found == [(1, "# A title"), (3, "A paragraph of two lines."), (8, "- an item of a list"), (10, "- another"),
                     (15, "| a row |")]


@pytest.mark.parametrize(("name", "text"), [
    ("a.h", "// Two lines\n// of text.\nint a;\n"), ("a.toml", "# Two lines\n# of text.\na = 1\n"),
    ("a.html", "<!-- Two lines\nof text. -->\n")])
def test_comments_of_other_languages_are_found(name: str, text: str) -> None:
    found = list(commented_passages(Path(name), text))
    assert found[0].line == 1
    assert found[0].text.startswith("Two lines")


@pytest.mark.parametrize(("text", "count"), [
    ("A table behind the product.", 1), ("It leaves no file behind.", 0), ("The signal tells POST of it.", 1),
    ("The two cannot be told apart.", 0), ("The name `behind` is code.", 0), ("One a line, in order.", 1)])
def test_a_word_is_found_unless_it_is_plain_english(text: str, count: int) -> None:
    assert len(list(findings([Passage(Path("a.md"), 1, Kind.DOCUMENT, text)]))) == count


def test_the_command_prints_samples_with_places(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["prose", "docs", "--seed", "2", "--samples", "3", "--kind", "document", "--json"])
    assert main() == 0
    result = json.loads(capsys.readouterr().out)
    assert result["seed"] == 2
    assert len(result["samples"]) == 3
    for sample in result["samples"]:
        lines = (ROOT / sample["file"]).read_text().splitlines()
        assert sample["kind"] == "document"
        assert lines[sample["line"] - 1].strip() == sample["text"][:len(lines[sample["line"] - 1].strip())]


def test_avoided_words_are_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path,
) -> None:
    (tmp_path / "a.md").write_text("The table is behind the product.\n")
    for command in (["init", "-q"], ["add", "a.md"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    monkeypatch.setattr("benchmarks.prose.__main__.passages_of", lambda folders: passages_of(folders, tmp_path))
    monkeypatch.setattr("sys.argv", ["prose", "--check"])
    assert main() == 1
    assert "a.md:1: 'behind': write 'after'" in capsys.readouterr().out


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="absent: no tracked file is there"):
        passages_of(["absent"])
    with pytest.raises(InputError, match="git cannot list its files"):
        passages_of((), tmp_path)
