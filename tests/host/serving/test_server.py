"""The start of a service: its warnings, and termination at any moment."""

import signal
import subprocess
import sys
import time
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


def test_sigterm_ends_a_service_that_starts(bundle_folder: Path, tmp_path: Path) -> None:
    """At the moment when its replica begins to start."""
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "arrayloom", "serve", bundle_folder / "one", "--port", "0",
                                    "--http-port", "0", "--ready-file", tmp_path / "ready"], stdout=log, stderr=log)
    try:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        end = time.monotonic() + 60
        while not children.read_text():
            assert time.monotonic() < end
            time.sleep(0.01)
        assert not (tmp_path / "ready").exists()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) in (0, -signal.SIGTERM)
        assert "Traceback" not in (tmp_path / "log").read_text()
    finally:
        process.kill()
        process.wait()
