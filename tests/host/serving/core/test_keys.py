"""Keys: matching, rotation, and permissions of their file."""

import stat
from pathlib import Path

import pytest

from arrayloom.host.serving.core import keys as keys_module
from arrayloom.host.serving.core.keys import KeyFile, Keys, Which, read_secret, rotate
from arrayloom.host.serving.errors import ServeError


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    Keys.generate().save(tmp_path / "keys.json")
    return tmp_path / "keys.json"


def test_keys_match_and_nothing_else_does() -> None:
    keys = Keys("first-key-of-tests", "second-key-of-tests")
    assert keys.match("first-key-of-tests")
    assert keys.match("second-key-of-tests")
    for wrong in ("", "first-key-of-test", "first-key-of-tests ", "FIRST-KEY-OF-TESTS", "ключ", "\udcff"):
        assert not keys.match(wrong)
    assert "first" not in repr(keys)


def test_both_keys_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []
    monkeypatch.setattr(keys_module.hmac, "compare_digest", lambda given, key: compared.append(key) or given == key)
    Keys("first-key-of-tests", "second-key-of-tests").match("first-key-of-tests")
    assert compared == [b"first-key-of-tests", b"second-key-of-tests"]


def test_headers(key_file: Path) -> None:
    keys, file = Keys.load(key_file), KeyFile(key_file)
    for allowed in (f"Bearer {keys.primary}", f"bearer {keys.secondary}", keys.primary, f"  {keys.secondary} "):
        assert file.allows(allowed)
    for refused in (None, "", "Bearer", "Bearer x", f"Basic {keys.primary}", f"Bearer Bearer {keys.primary}"):
        assert not file.allows(refused)


def test_rotation_takes_one_key_at_a_time(key_file: Path) -> None:
    before, file = Keys.load(key_file), KeyFile(key_file)
    after = rotate(key_file, Which.PRIMARY)
    assert after.secondary == before.secondary
    assert not file.allows(before.primary)
    assert file.allows(after.primary)
    assert file.allows(before.secondary)
    key_file.write_text("{")
    assert file.allows(after.primary), "a file that is being damaged must not lock everyone out, nor let anyone in"
    assert not file.allows("{")


@pytest.mark.parametrize(("text", "message"), [
    ("", "not JSON"), ("[]", "must hold primary and secondary"), ('{"primary": "a-long-enough-key-1"}', "must hold"),
    ('{"primary": "short", "secondary": "a-long-enough-key-2"}', "16 or more printable"),
    ('{"primary": "a key with blanks in it", "secondary": "a-long-enough-key-2"}', "without blanks"),
])
def test_key_files_that_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ServeError, match=message):
        Keys.load(path)


def test_secrets_are_for_their_owner(key_file: Path) -> None:
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    rotate(key_file, Which.SECONDARY)
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert [path.name for path in key_file.parent.iterdir()] == ["keys.json"]
    key_file.chmod(0o644)
    with pytest.raises(ServeError, match="chmod 600"):
        read_secret(key_file)


def test_the_operators_key(tmp_path: Path) -> None:
    """The operator's key permits everything; without one in the file nobody is an operator, and one can be added."""
    path = tmp_path / "keys.json"
    Keys("first-key-of-tests", "second-key-of-tests").save(path)
    file = KeyFile(path)
    assert "admin" not in path.read_text()
    assert not any(map(file.allows_admin, (None, "", "first-key-of-tests", "None")))
    admin = rotate(path, Which.ADMIN).admin
    assert admin is not None
    assert file.allows_admin(f"Bearer {admin}")
    assert file.allows(admin)
    assert not file.allows_admin("Bearer first-key-of-tests")
    path.write_text('{"primary": "first-key-of-tests", "secondary": "second-key-of-tests", "admin": "first-key-of-tests"}')
    with pytest.raises(ServeError, match="admin is a key of clients"):
        Keys.load(path)
