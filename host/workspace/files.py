"""Files of a workspace: copied, measured, synchronized, removed; and locks that show whether their owner is alive."""

import errno
import fcntl
import hashlib
import os
import shutil
import stat
import tarfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from arrayloom.host.workspace.errors import DiskFullError, WorkspaceError
from arrayloom.isa.files import sync, write_atomically

CHUNK = 1 << 20
LOCK = ".lock"
GATE = ".gate"
MANY = 200
FULL = {errno.ENOSPC, errno.EDQUOT}


class Content(NamedTuple):
    """A file's or folder's sha256 and size in bytes. A folder's is over its sorted lines ``SHA256  PATH``."""

    sha256: str
    bytes: int


def sync_tree(folder: Path) -> None:
    """Synchronizes everything in a folder and the folder itself to disk; with one call for the whole disk if that is
    cheaper."""
    found = list(os.walk(folder))
    if sum(len(names) for *_, names in found) > MANY:
        os.sync()
        return
    for here, _, names in found:
        for name in names:
            sync(Path(here, name))
        sync(Path(here))


def measure(path: Path) -> Content:
    """Hash and size of a file, or of a folder's files with their relative paths."""
    if path.is_file():
        return _measure_file(path)
    lines, size = [], 0
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        content = _measure_file(file)
        lines.append(f"{content.sha256}  {file.relative_to(path).as_posix()}\n")
        size += content.bytes
    return Content(hashlib.sha256("".join(lines).encode()).hexdigest(), size)


def _measure_file(path: Path) -> Content:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return Content(digest.hexdigest(), size)


def copy_into(source: Path, folder: Path) -> Path:
    """Copies a file or folder into ``folder``. Raises ``WorkspaceError`` for unreadable files, and for links, pipes
    and devices, which may lead outside the user's model."""
    for path in (source, *(source.rglob("*") if source.is_dir() and not source.is_symlink() else ())):
        _require_plain(path)
    target = folder / source.name
    try:
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copyfile(source, target)
    except (OSError, shutil.Error) as error:
        raise WorkspaceError(f"{source}: cannot be copied into the workspace: {error}") from None
    return target


def _require_plain(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except OSError as error:
        raise WorkspaceError(f"{path}: cannot be copied into the workspace: {error.strerror}") from None
    if stat.S_ISLNK(mode):
        raise WorkspaceError(f"{path}: is a link to {path.readlink()}; links are not followed, give the file itself")
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise WorkspaceError(f"{path}: is neither a file nor a folder but a pipe, a socket or a device; leave it out")


def extract(archive: tarfile.TarFile, folder: Path) -> None:
    """Unpacks files and folders; raises ``tarfile.FilterError`` for links, devices, and places outside ``folder``."""
    archive.extractall(folder, filter=_plain)


def _plain(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo:
    if not (member.isreg() or member.isdir()):
        raise tarfile.SpecialFileError(member)
    return tarfile.data_filter(member, folder)


def write_file(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Replaces a file atomically; it has the given permissions from the start."""
    try:
        with write_atomically(path, mode, synchronize=True) as file:
            file.write(data)
    except OSError as error:
        raise WorkspaceError(f"{path}: cannot be written: {error.strerror}") from None


def take_lock(path: Path) -> int | None:
    """A descriptor that holds the lock until it and its inherited copies are closed; None if another process holds the lock.

    A process that dies in any way releases its locks, so a free lock means that its owner is dead.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock in that file."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextmanager
def gate(folder: Path) -> Iterator[None]:
    """Briefly keeps other processes from creating or testing locks in ``folder``."""
    descriptor = os.open(folder / GATE, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A new staging folder inside ``folder``; its remains are removed at the end.

    A lock next to it is held meanwhile: remains of a killed process are recognized by their free lock. Raises
    ``DiskFullError`` if the disk becomes full within the block.
    """
    token = uuid.uuid4().hex
    lock, place = folder / f"{token}{LOCK}", folder / token
    with gate(folder):
        descriptor = take_lock(lock)
    assert descriptor is not None
    try:
        place.mkdir()
        yield place
    except OSError as error:
        if error.errno in FULL:
            raise DiskFullError(error.filename or folder) from None
        raise
    finally:
        shutil.rmtree(place, ignore_errors=True)
        lock.unlink(missing_ok=True)
        os.close(descriptor)


def abandoned(folder: Path) -> list[Path]:
    """Folders and locks in a staging folder whose processes are dead."""
    with gate(folder):
        tokens = {path.name.removesuffix(LOCK) for path in folder.iterdir() if path.name != GATE}
        dead = [token for token in sorted(tokens) if not is_held(folder / f"{token}{LOCK}")]
    return [path for token in dead for path in (folder / token, folder / f"{token}{LOCK}") if path.exists()]


def remove(path: Path) -> None:
    """Removes a file or folder that another process may be removing at the same time."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(FileNotFoundError):
            path.unlink()
