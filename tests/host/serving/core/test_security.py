"""Keys and TLS, each without the other and together; what may be read by whom; what the log says."""

import ssl
import stat
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import asking
import pytest
import serving
import trustme
from asking import Ask, RefusedError

from arrayloom.host.serving.client import ClientError, PredictionClient, Retries
from arrayloom.host.serving.core import keys as keys_module
from arrayloom.host.serving.core.http_server import METRICS
from arrayloom.host.serving.core.keys import KeyFile, Keys, Which, read_secret, rotate
from arrayloom.host.serving.core.settings import Settings
from arrayloom.host.serving.errors import ServeError
from arrayloom.host.serving.protocols import open_inference, tensorflow
from arrayloom.host.serving.protocols.health.protocol import CHECK
from arrayloom.host.serving.protocols.open_inference.messages import SERVER_LIVE, SERVER_READY
from arrayloom.host.serving.protocols.registry import PROTOCOLS
from arrayloom.host.serving.run import check_exposure, is_loopback

IMAGE = serving.images(1)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    Keys.generate().save(tmp_path / "keys.json")
    return tmp_path / "keys.json"


@pytest.fixture(scope="module")
def keyed(bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[serving.Server, Path]]:
    """A service with keys and without TLS."""
    folder = tmp_path_factory.mktemp("keyed")
    Keys.generate().save(folder / "keys.json")
    with serving.Server(folder, bundle_folder / "one", "--keys-file", folder / "keys.json") as server:
        yield server, folder / "keys.json"


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
def test_tls(bundle_folder: Path, certificates: Path, key_file: Path, with_keys: bool) -> None:
    options: list[str | Path] = ["--tls-cert", certificates / "cert.pem", "--tls-key", certificates / "key.pem"]
    options += ["--keys-file", key_file] if with_keys else []
    token = Keys.load(key_file).primary if with_keys else None
    roots = certificates / "ca.pem"
    with serving.Server(key_file.parent, bundle_folder / "one", *options) as server:
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


def test_open_ports_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "::", "example.org")] == [
        True, True, True, False, False, False]
    check_exposure(Settings(host="127.0.0.1"))
    assert not caplog.records
    check_exposure(Settings(host="0.0.0.0"))
    check_exposure(Settings(host="0.0.0.0", keys_file=Path("keys.json")))
    assert "without keys (--keys-file) and without TLS (--tls-cert)" in caplog.messages[0]
    assert caplog.messages[1].endswith("machines, without TLS (--tls-cert)")
