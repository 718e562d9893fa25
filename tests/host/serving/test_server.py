"""The start of a service: what it warns of."""

from pathlib import Path

import pytest

from arrayloom.host.serving.core.http_server import is_loopback
from arrayloom.host.serving.core.settings import Settings
from arrayloom.host.serving.server import check_exposure


def test_open_ports_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "::", "example.org")] == [
        True, True, True, False, False, False]
    check_exposure(Settings(host="127.0.0.1"))
    assert not caplog.records
    check_exposure(Settings(host="0.0.0.0"))
    check_exposure(Settings(host="0.0.0.0", keys_file=Path("keys.json")))
    assert "without keys (--keys-file) and without TLS (--tls-cert)" in caplog.messages[0]
    assert caplog.messages[1].endswith("machines, without TLS (--tls-cert)")
