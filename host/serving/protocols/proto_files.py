"""The protocols' ``.proto`` files, for compilers of other languages; they use the public names, services included."""

from pathlib import Path


def proto_files() -> dict[str, str]:
    """The name and text of each file."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("*/*.proto"))}
