"""Request identifiers in answers and logs, and the access log."""

import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import serving

from arrayloom.host.serving.core.keys import Keys
from arrayloom.host.serving.core.request_ids import CURRENT, begin
from arrayloom.host.serving.protocols.open_inference.messages import MODEL_METADATA, SERVER_LIVE, oip

GENERATED = re.compile(r"[0-9a-f]{32}")
SECRET = "a-key-that-no-log-may-hold-0123456789"


@pytest.fixture(scope="module")
def server(bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[serving.Server]:
    folder = tmp_path_factory.mktemp("access")
    Keys(SECRET, SECRET[::-1]).save(folder / "keys.json")
    with serving.Server(folder, bundle_folder / "one", "--keys-file", folder / "keys.json", "--access-log",
                        folder / "access.log") as server:
        yield server


def _http(server: serving.Server, path: str, headers: dict[str, str], body: bytes | None = None) -> tuple[int, str]:
    """The status, and the identifier in the answer."""
    request = urllib.request.Request(server.url + path, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, response.headers["X-Request-Id"]
    except urllib.error.HTTPError as error:
        return error.code, error.headers["X-Request-Id"]


def _lines(server: serving.Server, identifier: str) -> list[dict[str, Any]]:
    """A line is written after the answer is sent, so it may appear slightly later."""
    end = time.monotonic() + 30
    found: list[dict[str, Any]] = []
    while not found and time.monotonic() < end:
        lines = (server.log_path.parent / "access.log").read_text().splitlines()
        found = [line for line in map(json.loads, lines) if line.get("request_id") == identifier]
    return found


def test_http(server: serving.Server) -> None:
    auth = {"Authorization": f"Bearer {SECRET}"}
    tensor = {"name": "image", "datatype": "FP32", "shape": [1, 1, 8, 8], "data": [0.2468013579] * 64}
    image = json.dumps({"inputs": [tensor]})
    asked = auth | {"X-Request-Id": "trace-7/a.b:c"}
    assert _http(server, "/v2/models/digits/infer?a=private", asked, image.encode()) == (200, "trace-7/a.b:c")
    (line,) = _lines(server, "trace-7/a.b:c")
    assert (line["protocol"], line["method"], line["path"], line["status"]) == (
        "http", "POST", "/v2/models/digits/infer", 200)
    assert line["request_bytes"] == len(image)
    assert line["milliseconds"] > 0
    (event,) = server.events("inference")
    assert (event["model"], event["request_id"]) == ("digits", "trace-7/a.b:c")
    for path, headers, status in (("/v2", {}, 401), ("/absent", auth, 404), ("/v2/models/absent", auth, 404)):
        code, identifier = _http(server, path, headers)
        assert (code, [each["status"] for each in _lines(server, identifier)]) == (status, [status])
        assert GENERATED.fullmatch(identifier)


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "-x", 'a"b', "é"])
def test_identifiers_that_cannot_stand_in_a_log_are_replaced(given: str) -> None:
    assert GENERATED.fullmatch(begin(given))
    assert begin("x" * 128) == CURRENT.get() == "x" * 128
    CURRENT.set("")


def test_grpc(server: serving.Server) -> None:
    """Refused calls also have one, in their trailing metadata."""
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        request = oip.ModelMetadataRequest(name="digits").SerializeToString()
        for key, status in ((SECRET, "OK"), ("wrong" * 4, "UNAUTHENTICATED")):
            metadata = (("authorization", f"Bearer {key}"), ("x-request-id", f"call-{status}"))
            call = channel.unary_unary(MODEL_METADATA.path).future(request, metadata=metadata)
            assert call.code().name == status
            assert dict(call.trailing_metadata())["x-request-id"] == f"call-{status}"
            (line,) = _lines(server, f"call-{status}")
            assert (line["protocol"], line["path"], line["status"]) == ("grpc", MODEL_METADATA.path, status)
        call = channel.unary_unary(SERVER_LIVE.path).future(b"")
        assert GENERATED.fullmatch(dict(call.trailing_metadata())["x-request-id"])


def test_nothing_private_is_in_the_logs(server: serving.Server) -> None:
    texts = (server.log_path.parent / "access.log").read_text() + server.log
    assert "inference" in texts
    assert not [word for word in (SECRET, SECRET[::-1], "private", "0.2468013579", "Bearer") if word in texts]


def test_a_log_that_cannot_be_written(bundle_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"--access-log .*: cannot be written"), \
            serving.Server(tmp_path, bundle_folder / "one", "--access-log", tmp_path / "absent" / "a.log"):
        pass
