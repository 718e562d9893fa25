"""docs/python.md lists every public name with its actual signature."""

import inspect
import re

from checkout import ROOT

import arrayloom

PAGE = ROOT / "docs" / "python.md"
CALL = re.compile(r"^\| `(\w+)(?:\.(\w+))?(\(.*\))` \|", re.MULTILINE)


def signature(name: str, method: str) -> str:
    """Names and defaults of the parameters; types are described by the docstrings and ``help``."""
    target = getattr(arrayloom, name)
    found = inspect.signature(getattr(target, method) if method else target)
    plain = [one.replace(annotation=inspect.Parameter.empty) for one in found.parameters.values() if one.name != "self"]
    return str(found.replace(parameters=plain, return_annotation=inspect.Signature.empty))


def test_every_name_stands_on_the_page_with_its_signature() -> None:
    listed = CALL.findall(PAGE.read_text(encoding="utf-8"))
    assert {name for name, _, _ in listed} == set(arrayloom.__all__)
    for name, method, text in listed:
        assert text == signature(name, method), f"docs/python.md: {name}.{method}"


def test_every_name_says_what_it_is() -> None:
    for name in arrayloom.__all__:
        assert inspect.getdoc(getattr(arrayloom, name)), name
