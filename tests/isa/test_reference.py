"""The generated page equals the one in the repository."""

from arrayloom.isa import reference


def test_isa_page_is_fresh() -> None:
    assert reference.PATH.read_text(encoding="utf-8") == reference.text(), "run: python -m arrayloom.isa.reference"
