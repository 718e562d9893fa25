"""The registry's SQLite file: schema, connections, transactions."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from arrayloom.host.workspace.errors import BusyError, DamagedError, DiskFullError, NotFoundError

FILE = "registry.sqlite"
SCHEMA_VERSION = 1
APPLICATION_ID = 0x4C4F4F4D  # "LOOM", by which file(1) and this module recognize the file
FORMER_APPLICATION_ID = 0x57454654  # used by workspaces up to format 1
BUSY_SECONDS = 30.0
NO_ROOM = {"SQLITE_FULL", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_WRITE"}
"""SQLite error codes caused by a full disk."""

_SCHEMA = """
CREATE TABLE entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('model', 'image', 'service', 'operation')),
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    state TEXT NOT NULL,
    description TEXT NOT NULL,
    created REAL NOT NULL,
    path TEXT,
    sha256 TEXT,
    bytes INTEGER,
    details TEXT NOT NULL,
    UNIQUE (kind, name, version)
);
CREATE TABLE labels (
    entry INTEGER NOT NULL REFERENCES entries ON DELETE CASCADE,
    sort TEXT NOT NULL CHECK (sort IN ('tag', 'property')),
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (entry, sort, key)
) WITHOUT ROWID;
CREATE TABLE lineage (
    child INTEGER NOT NULL REFERENCES entries ON DELETE CASCADE,
    parent INTEGER REFERENCES entries ON DELETE SET NULL,
    reference TEXT NOT NULL,
    sha256 TEXT
);
CREATE INDEX lineage_by_child ON lineage (child);
CREATE INDEX lineage_by_parent ON lineage (parent);
CREATE TABLE versions (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID;
"""


class Database:
    """One SQLite file. Every call opens a connection of its own, so threads and forks share nothing.

    The file is in WAL mode: readers never wait, writers wait for each other up to ``BUSY_SECONDS``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path) -> "Database":
        """Creates an empty registry. An interrupted creation sets no version and can simply be repeated."""
        database = cls(path)
        with database._explained(), closing(database._connect()) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA application_id = {APPLICATION_ID};"
                                     f"PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
        return database

    def check(self) -> None:
        """Raises ``NotFoundError`` if there is no file, ``DamagedError`` if it is not a registry of this version."""
        if not self.path.is_file():
            raise NotFoundError(f"{self.path}: no such registry; create a workspace with: arrayloom workspace create DIR")
        with self.read() as connection:
            found = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
        if found[0] == FORMER_APPLICATION_ID:
            raise DamagedError(f"{self.path}: a registry of an earlier version of Arrayloom; create a new workspace, "
                               "register the models there and convert them again")
        if found[0] != APPLICATION_ID:
            raise DamagedError(f"{self.path}: not a registry of Arrayloom's; restore it, or create the workspace elsewhere")
        if found[1] != SCHEMA_VERSION:
            raise DamagedError(f"{self.path}: version {found[1]} of the registry's format, this Arrayloom reads "
                               f"{SCHEMA_VERSION}; use the Arrayloom that made it")

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees one consistent state of the registry; works on a full disk too."""
        with self._explained(), closing(self._reader()) as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction that excludes every other writer; it is durable once the block ends without an error."""
        with self._explained(), closing(self._connect()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _connect(self, *first: str) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        connection.row_factory = sqlite3.Row
        try:
            for pragma in (*first, "PRAGMA foreign_keys = ON", "PRAGMA synchronous = FULL"):
                connection.execute(pragma)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _reader(self) -> sqlite3.Connection:
        """Runs in a transaction. On a full disk SQLite may not be able to create its shared-memory file; a reader with
        exclusive access does not need one."""
        try:
            return self._begun(self._connect())
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname not in NO_ROOM:
                raise
            return self._begun(self._connect("PRAGMA locking_mode = EXCLUSIVE"))

    def _begun(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        try:
            connection.execute("BEGIN")
            connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()
            return connection
        except sqlite3.Error:
            connection.close()
            raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error) or "busy" in str(error):
                raise BusyError(f"{self.path}: another process has been writing for more than {BUSY_SECONDS:.0f} s; end "
                                "it, or try again") from error
            if error.sqlite_errorname in NO_ROOM:
                raise DiskFullError(self.path) from error
            raise DamagedError(f"{self.path}: {error}; check the disk and the folder's permissions") from error
        except sqlite3.DatabaseError as error:
            raise DamagedError(f"{self.path}: {error}; restore the registry from a copy") from error
