"""The protocols' ``.proto`` files, for compilers of other languages; they have the public names, services included."""

from pathlib import Path


def proto_files() -> dict[str, str]:
    """Of each file its name and its text."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("*/*.proto"))}
