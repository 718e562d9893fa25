"""Keys and TLS of a running service, separately and together, and the contents of the log."""

import http.client
import json
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import asking
import pytest
import serving
import trustme
from asking import Ask, RefusedError
from cryptography import x509

from arrayloom.host.serving.client import ClientError, PredictionClient, Retries
from arrayloom.host.serving.core.http_server import METRICS
from arrayloom.host.serving.core.keys import Keys, Which, rotate
from arrayloom.host.serving.protocols import open_inference, tensorflow
from arrayloom.host.serving.protocols.health.protocol import CHECK
from arrayloom.host.serving.protocols.open_inference.messages import REPOSITORY_MODEL_LOAD, SERVER_LIVE, SERVER_READY, oip
from arrayloom.host.serving.protocols.registry import PROTOCOLS

IMAGE = serving.images(1)


@pytest.fixture(scope="module")
def keyed(bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[serving.Server, Path]]:
    """A service with keys but without TLS."""
    folder = tmp_path_factory.mktemp("keyed")
    Keys.generate().save(folder / "keys.json")
    with serving.Server(folder, bundle_folder / "one", "--keys-file", folder / "keys.json") as server:
        yield server, folder / "keys.json"


@pytest.mark.parametrize("protocol", asking.PROTOCOLS)
def test_every_protocol_wants_a_key(keyed: tuple[serving.Server, Path], protocol: str) -> None:
    (server, file), ask = keyed, asking.PROTOCOLS[protocol]
    keys = Keys.load(file)
    for header in ({}, {"authorization": "Bearer wrong-key-wrong-key"}, {"authorization": ""}):
        with pytest.raises(RefusedError) as refused:
            ask(server, Ask({"image": IMAGE}, headers=header))
        assert refused.value.code == 401
        assert "Bearer KEY" in refused.value.message
    for key in (f"Bearer {keys.primary}", keys.secondary):
        assert ask(server, Ask({"image": IMAGE}, headers={"authorization": key}))["logits"].shape == (1, 10)


def test_probes_are_open_and_the_rest_is_not(keyed: tuple[serving.Server, Path]) -> None:
    server, _ = keyed
    for route in (open_inference.LIVE, open_inference.READY):
        assert asking.http(server, route.path)
    for method in (CHECK, SERVER_LIVE, SERVER_READY):
        assert asking.call_bytes(server, method.path, b"") == b"\x08\x01"
    for path in (METRICS.path, "/v2/nowhere", *(route.at("digits") for protocol in PROTOCOLS for route in protocol.routes
                                                if not route.keyless)):
        with pytest.raises(RefusedError) as refused:
            asking.http(server, path)
        assert refused.value.code == 401
    for method in (method for protocol in PROTOCOLS for method in protocol.methods if not method.keyless):
        with pytest.raises(RefusedError, match="UNAUTHENTICATED"):
            asking.call_bytes(server, method.path, b"")


def test_rotation_without_downtime(keyed: tuple[serving.Server, Path]) -> None:
    server, file = keyed
    with PredictionClient("127.0.0.1", server.port, access_token=Keys.load(file).secondary) as client:
        first = client.score_numpy_arrays({"image": IMAGE}, "logits")
        old = Keys.load(file).primary
        new = rotate(file, Which.PRIMARY).primary
        assert client.score_numpy_arrays({"image": IMAGE}, "logits").tobytes() == first.tobytes()
    with PredictionClient("127.0.0.1", server.port, access_token=new) as client:
        assert client.score_numpy_arrays({"image": IMAGE}, "logits").tobytes() == first.tobytes()
    with PredictionClient("127.0.0.1", server.port, access_token=old) as client, \
            pytest.raises(ClientError, match="UNAUTHENTICATED"):
        client.score_numpy_arrays({"image": IMAGE})


def test_no_key_in_the_log_or_the_metrics(keyed: tuple[serving.Server, Path]) -> None:
    server, file = keyed
    keys = Keys.load(file)
    text = asking.http(server, METRICS.path, headers={"authorization": keys.primary}).decode() + server.log
    assert "wrong-key" not in text
    assert keys.primary not in text
    assert keys.secondary not in text


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ca.pem, cert.pem and key.pem for localhost."""
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    server = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    server.private_key_pem.write_to_path(str(folder / "key.pem"))
    (folder / "key.pem").chmod(0o600)
    (folder / "cert.pem").write_bytes(b"".join(part.bytes() for part in server.cert_chain_pems))
    return folder


@pytest.mark.parametrize("with_keys", [False, True])
def test_tls(bundle_folder: Path, certificates: Path, tmp_path: Path, with_keys: bool) -> None:
    key_file = tmp_path / "keys.json"
    Keys.generate().save(key_file)
    options: list[str | Path] = ["--tls-cert", certificates / "cert.pem", "--tls-key", certificates / "key.pem"]
    options += ["--keys-file", key_file] if with_keys else []
    token = Keys.load(key_file).primary if with_keys else None
    roots = certificates / "ca.pem"
    with serving.Server(tmp_path, bundle_folder / "one", *options) as server:
        with PredictionClient("localhost", server.port, True, token, root_certificates=roots) as client:
            assert client.score_numpy_arrays({"image": IMAGE}, "logits").shape == (1, 10)
        with PredictionClient("localhost", server.port, True, token, retries=Retries(tries=1)) as client, \
                pytest.raises(ClientError, match="UNAVAILABLE"):
            client.score_numpy_arrays({"image": IMAGE})
        url = server.url.replace("127.0.0.1", "localhost")
        headers = {"authorization": token} if token else {}
        request = urllib.request.Request(url + tensorflow.STATUS.at("digits"), headers=headers)
        with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=roots)) as response:
            assert b"AVAILABLE" in response.read()
        assert "PRIVATE KEY" not in server.log


def test_what_does_not_start(bundle_folder: Path, certificates: Path, tmp_path: Path) -> None:
    readable = tmp_path / "key.pem"
    readable.write_bytes((certificates / "key.pem").read_bytes())
    readable.chmod(0o644)
    for options, message in ((["--tls-cert", certificates / "cert.pem"], "needs both"),
                             (["--tls-cert", certificates / "cert.pem", "--tls-key", readable], "chmod 600"),
                             (["--keys-file", tmp_path / "absent"], "cannot be read")):
        with pytest.raises(RuntimeError, match=message), serving.Server(tmp_path, bundle_folder / "one", *options):
            pass


def _raw(server: serving.Server, text: str) -> bytes:
    with socket.create_connection(("127.0.0.1", server.facts["http_port"]), timeout=10) as connection:
        connection.sendall(text.encode())
        return connection.recv(10_000)


def test_malformed_requests_leave_no_key_in_the_log(keyed: tuple[serving.Server, Path]) -> None:
    server, file = keyed
    key = Keys.load(file).primary
    for _ in range(50):
        for line in (f"Authorization: Bearer {key}\x00", f"Author ization: Bearer {key}", f"Bearer {key}"):
            assert b" 400 " in _raw(server, f"GET /v2 HTTP/1.1\r\nHost: localhost\r\n{line}\r\n\r\n")
    assert key not in server.log
    assert 1 <= len(server.events("malformed_request")) < 30
    assert "Traceback" not in server.log


@pytest.mark.parametrize(("headers", "code"), [
    ("Host: 127.0.0.1:8501", 200), ("Host: localhost", 200), ("Host: [::1]:8501", 200), ("Host: rebound.example", 403),
    ("Host: localhost\r\nOrigin: http://localhost", 200), ("Host: localhost\r\nOrigin: https://elsewhere.example", 403),
    ("Host: localhost\r\nOrigin: null", 403), ("Host: localhost\r\nContent-Type: text/plain;charset=UTF-8", 415),
    ("Host: localhost\r\nContent-Type: multipart/form-data; boundary=x", 415),
    ("Host: localhost\r\nContent-Type: application/json", 200),
    ("Host: localhost\r\nContent-Type: application/x-www-form-urlencoded", 200)])
def test_pages_from_elsewhere_do_not_reach_the_loopback(server: serving.Server, headers: str, code: int) -> None:
    """Browsers send the requests of any page; without keys, every page could otherwise call ``load``."""
    answer = _raw(server, f"POST {open_inference.LOAD.at('digits')} HTTP/1.1\r\n{headers}\r\nContent-Length: 0\r\n\r\n")
    assert int(answer.split()[1]) == code


def test_answers_name_no_library(server: serving.Server) -> None:
    for verb, code in (("GET", 200), ("HEAD", 200), ("DELETE", 405)):
        answer = _raw(server, f"{verb} {open_inference.LIVE.path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert int(answer.split()[1]) == code
        assert b"\r\nServer: arrayloom\r\n" in answer
        assert answer.endswith(b"\r\n\r\n") == (verb == "HEAD")


def test_what_is_loaded_is_said_by_its_bundle_alone(server: serving.Server) -> None:
    with pytest.raises(RefusedError, match="parameter 'config': a model is loaded as its bundle describes it") as refused:
        asking.http(server, open_inference.LOAD.at("digits"), b'{"parameters": {"config": "{}"}}')
    assert refused.value.code == 400


def test_a_port_of_metrics_alone_needs_no_key(bundle_folder: Path, tmp_path: Path) -> None:
    """A scraper of pods has none of the clients' keys."""
    Keys.generate().save(tmp_path / "keys.json")
    options = ["--keys-file", tmp_path / "keys.json", "--metrics-port", "0"]
    with serving.Server(tmp_path, bundle_folder / "one", *options) as server:
        with pytest.raises(RefusedError) as refused:
            asking.http(server, METRICS.path)
        assert refused.value.code == 401
        url = f"http://127.0.0.1:{server.facts['metrics_port']}"
        with urllib.request.urlopen(url + METRICS.path, timeout=30) as response:
            assert b"arrayloom_queue_length 0.0" in response.read()
        for path in (open_inference.READY.path, tensorflow.STATUS.at("digits"), "/"):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(url + path, timeout=30)


def test_reflashes_need_the_operators_key(keyed: tuple[serving.Server, Path]) -> None:
    server, file = keyed
    keys = Keys.load(file)
    path, message = open_inference.LOAD.at("digits"), oip.RepositoryModelLoadRequest(model_name="digits")
    for key in (keys.primary, f"Bearer {keys.secondary}"):
        with pytest.raises(RefusedError, match="admin key") as refused:
            asking.http(server, path, b"", {"authorization": key})
        assert refused.value.code == 403
        with pytest.raises(RefusedError, match="PERMISSION_DENIED: this needs"):
            asking.call(server, REPOSITORY_MODEL_LOAD, message, {"authorization": key})
    assert keys.admin is not None
    asking.http(server, path, b"", {"authorization": f"Bearer {keys.admin}"})
    asking.call(server, REPOSITORY_MODEL_LOAD, message, {"authorization": keys.admin})
    assert asking.http(server, METRICS.path, headers={"authorization": keys.admin})
    rotate(file, Which.ADMIN)
    with pytest.raises(RefusedError) as refused:
        asking.http(server, path, b"", {"authorization": f"Bearer {keys.admin}"})
    assert refused.value.code == 401


def _issue(folder: Path, authority: trustme.CA) -> int:
    """Writes a new certificate for localhost; returns its serial number."""
    issued = authority.issue_cert("localhost")
    issued.private_key_pem.write_to_path(str(folder / "key.pem"))
    (folder / "key.pem").chmod(0o600)
    (folder / "cert.pem").write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
    return x509.load_pem_x509_certificate(issued.cert_chain_pems[0].bytes()).serial_number


def _serial(port: int) -> int:
    """The serial number of the certificate that a port presents."""
    return x509.load_pem_x509_certificate(ssl.get_server_certificate(("127.0.0.1", port)).encode()).serial_number


def test_renewed_certificates_are_taken_without_a_restart(bundle_folder: Path, tmp_path: Path) -> None:
    authority = trustme.CA()
    first = _issue(tmp_path, authority)
    options = ["--tls-cert", tmp_path / "cert.pem", "--tls-key", tmp_path / "key.pem"]
    with serving.Server(tmp_path, bundle_folder / "one", *options) as server:
        ports = (server.port, server.facts["http_port"])
        assert [_serial(port) for port in ports] == [first, first]
        with PredictionClient("localhost", server.port, True, root_certificates=authority.cert_pem.bytes()) as client:
            before = client.score_numpy_arrays({"image": IMAGE}, "logits")
            second = _issue(tmp_path, authority)
            assert [_serial(port) for port in ports] == [second, second]
            assert client.score_numpy_arrays({"image": IMAGE}, "logits").tobytes() == before.tobytes()
        (tmp_path / "cert.pem").write_text("damaged")
        assert [_serial(port) for port in ports] == [second, second]
        assert "the certificate is unchanged" in server.log
        third = _issue(tmp_path, authority)
        with PredictionClient("localhost", server.port, True, root_certificates=authority.cert_pem.bytes()) as client:
            assert client.score_numpy_arrays({"image": IMAGE}, "logits").tobytes() == before.tobytes()
        assert [_serial(port) for port in ports] == [third, third]


@pytest.mark.parametrize(("request_text", "status"), [
    (b"GARBAGE\r\n\r\n", 400), (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 20_000 + b"\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n", 400),
    (b"POST /v1/models/digits:predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked, x\r\n\r\n", 400),
    (b"POST /v1/models/digits:predict HTTP/1.1\r\nHost: localhost\r\nExpect: tea\r\nContent-Length: 2\r\n\r\n{}", 417),
    (b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nExpect: tea\r\n\r\n", 417),
    (b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\nExpect: \xe9\r\n\r\n", 400),
])
def test_what_is_not_http_is_refused_in_json(server: serving.Server, request_text: bytes, status: int) -> None:
    with socket.create_connection(("127.0.0.1", server.facts["http_port"]), timeout=10) as connection:
        connection.sendall(request_text)
        response = http.client.HTTPResponse(connection)
        response.begin()
        body = json.loads(response.read())
    assert response.status == status
    assert response.headers["Server"] == "arrayloom"
    assert response.headers.get_content_type() == "application/json"
    assert list(body) == ["error"]
    assert 10 < len(body["error"]) <= 2000
