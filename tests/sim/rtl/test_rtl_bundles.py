"""Source files compiled together."""

from pathlib import Path

from arrayloom.sim.rtl.bundles import bundles, title, write_bundle


def _files(folder: Path, sizes: dict[str, int]) -> list[Path]:
    for name, size in sizes.items():
        (folder / name).write_bytes(b"x" * size)
    return [folder / name for name in sizes]


def test_no_bundle_is_larger_than_the_limit_and_none_is_lost(tmp_path):
    files = _files(tmp_path, {"a": 50, "b": 90, "c": 10, "d": 60, "e": 40, "f": 1})
    found = bundles(files, limit=100)
    assert [[file.name for file in group] for group in found] == [["b", "c"], ["d", "e"], ["a", "f"]]


def test_a_file_beyond_the_limit_is_alone_and_first(tmp_path):
    files = _files(tmp_path, {"small": 10, "large": 200, "other": 10})
    assert [[file.name for file in group] for group in bundles(files, limit=100)] == [["large"], ["other", "small"]]


def test_a_bundle_is_its_files(tmp_path):
    files = _files(tmp_path, {"a.cpp": 1, "b.cpp": 1})
    bundle = write_bundle(tmp_path / "bundle.cpp", files)
    assert bundle.read_text() == f'#include "{tmp_path}/a.cpp"\n#include "{tmp_path}/b.cpp"\n'
    assert title(files) == "a.cpp and 1 more" and title(files[:1]) == "a.cpp"
