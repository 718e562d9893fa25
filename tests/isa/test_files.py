"""Files and folders appear complete or not at all."""

import os
import stat
import threading
from pathlib import Path

import pytest

from arrayloom.isa.files import leftovers, make_folder_atomically, write_atomically


class BrokenOffError(Exception):
    """A failure in the middle of writing."""


@pytest.fixture(autouse=True)
def common_umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.parametrize("synchronize", [False, True])
def test_a_file_appears_when_it_is_complete(tmp_path: Path, synchronize: bool) -> None:
    path = tmp_path / "file"
    with write_atomically(path, synchronize=synchronize) as file:
        file.write(b"whole")
        assert not path.exists()
    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]


def test_an_existing_file_is_replaced_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with write_atomically(path) as file:
        file.write(b"after")
        file.flush()
        assert path.read_bytes() == b"before"
    assert path.read_bytes() == b"after"


@pytest.mark.parametrize("error", [BrokenOffError, KeyboardInterrupt])
def test_a_failure_in_the_middle_leaves_what_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with pytest.raises(error), write_atomically(path) as file:
        file.write(b"half")
        raise error
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_to_rename_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(IsADirectoryError), write_atomically(folder) as file:
        file.write(b"whole")
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("name", ["missing/file", "a-file/file"])
def test_a_folder_that_is_none_is_an_os_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "a-file").write_bytes(b"")
    with pytest.raises(OSError), write_atomically(tmp_path / name):
        pytest.fail("nothing can be written")


@pytest.mark.parametrize(("mode", "expected"), [(0o666, 0o644), (0o644, 0o644), (0o600, 0o600)])
def test_permissions_hold_from_the_first_byte_on(tmp_path: Path, mode: int, expected: int) -> None:
    path = tmp_path / "file"
    with write_atomically(path, mode):
        (temporary,) = leftovers(path)
        assert stat.S_IMODE(temporary.stat().st_mode) == expected
    assert stat.S_IMODE(path.stat().st_mode) == expected


def test_writers_at_the_same_time_do_not_share_a_file(tmp_path: Path) -> None:
    path, count = tmp_path / "file", 8
    together = threading.Barrier(count)

    def write(number: int) -> None:
        with write_atomically(path) as file:
            together.wait(10)
            file.write(bytes([number]) * 100_000)
            together.wait(10)

    threads = [threading.Thread(target=write, args=[number]) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    content = path.read_bytes()
    assert content in [bytes([number]) * 100_000 for number in range(count)]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127])
def test_the_longest_names_can_be_written(tmp_path: Path, name: str) -> None:
    with write_atomically(tmp_path / name) as file:
        file.write(b"whole")
    assert (tmp_path / name).read_bytes() == b"whole"


def test_a_folder_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    with make_folder_atomically(path) as folder:
        (folder / "file").write_bytes(b"whole")
        assert not path.exists()
    assert (path / "file").read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_in_a_folder_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(BrokenOffError), make_folder_atomically(tmp_path / "folder") as folder:
        (folder / "file").write_bytes(b"half")
        raise BrokenOffError
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    (path / "file").write_bytes(b"before")
    with pytest.raises(OSError), make_folder_atomically(path) as folder:
        (folder / "file").write_bytes(b"after")
    assert (path / "file").read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_leftovers_are_those_of_the_path_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with write_atomically(tmp_path / "other"), write_atomically(tmp_path / "fil"), write_atomically(path):
        (own,) = leftovers(path)
        assert own.name.startswith(".file.")
    assert leftovers(path) == []
