"""Services: deployed, scored, rotated, updated, killed, restarted, deleted."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import pytest

from arrayloom.host.models import digits
from arrayloom.host.serving import needs
from arrayloom.host.serving.client import ClientError, PredictionClient, client_from_service
from arrayloom.host.serving.core.settings import Settings
from arrayloom.host.serving.errors import ServeError
from arrayloom.host.workspace import ExistsError, InUseError, Model, NotFoundError, Workspace, WorkspaceError
from arrayloom.host.workspace.image import Image
from arrayloom.host.workspace.webservice import LocalWebservice, Webservice

IMAGE = digits.IMAGES / "digit_7_1496.png"
DEPLOY = """
import sys, time
from arrayloom.host.workspace import Workspace
from arrayloom.host.workspace.image import Image
from arrayloom.host.workspace.webservice import Webservice

workspace = Workspace(sys.argv[1])
Webservice.deploy_from_image(workspace, "orphan", Image(workspace, "digits"))
print("deployed", flush=True)
time.sleep(60)
"""


@pytest.fixture(scope="module")
def image(shop: Workspace, program: Model) -> Image:
    made = Image.create(shop, "digits", program)
    made.wait_for_creation()
    return made


@pytest.fixture(scope="module")
def service(shop: Workspace, image: Image) -> Webservice:
    deployed = Webservice.deploy_from_image(shop, "digits", image, tags={"stage": "test"})
    assert deployed.state == "Transitioning"
    deployed.wait_for_deployment()
    return deployed


def winner(client: PredictionClient) -> int:
    (scores,) = client.score_file(IMAGE).values()
    return int(scores.argmax())


def with_key(service: Webservice, key: str | None) -> PredictionClient:
    return PredictionClient(service.address.reachable, service.address.port, access_token=key)


def test_a_deployed_service_scores(shop: Workspace, service: Webservice) -> None:
    found = Webservice(shop, service.name)
    assert service.address.host == "127.0.0.1"
    assert (found.state, found.version, found.image, found.tags) == ("Healthy", 1, "digits:1", {"stage": "test"})
    assert list(shop.webservices) == ["digits"]
    with client_from_service(found) as client:
        assert winner(client) == 7
        assert client.labels() == list("0123456789")
    assert '"event": "ready"' in found.get_logs()


def test_without_the_servers_packages_nothing_is_made(shop: Workspace, image: Image,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "MODULES", {"grpc": "grpcio", "absent_package.part": "absent-package"})
    with pytest.raises(WorkspaceError, match=r"server needs absent-package, which are not installed.*'\.\[serve\]'"):
        Webservice.deploy_from_image(shop, "bare", image)
    with pytest.raises(NotFoundError):
        Webservice(shop, "bare")


def test_keys_open_and_are_replaced_one_by_one(service: Webservice) -> None:
    primary, secondary = service.get_keys()
    for key in (None, "wrong" * 8):
        with with_key(service, key) as client, pytest.raises(ClientError, match="UNAUTHENTICATED"):
            winner(client)
    with with_key(service, secondary) as client:
        renewed, kept = service.regen_key("primary")
        assert (kept, renewed != primary) == (secondary, True)
        assert winner(client) == 7
    with with_key(service, renewed) as client:
        assert winner(client) == 7
    with with_key(service, primary) as client, pytest.raises(ClientError, match="UNAUTHENTICATED"):
        winner(client)
    with pytest.raises(WorkspaceError, match="there are primary, secondary"):
        service.regen_key("third")
    log = service.get_logs() + str(service.serialize())
    assert not [key for key in (primary, secondary, renewed) if key in log]
    assert [path.stat().st_mode & 0o777 for path in service.path.glob("keys*")] == [0o600]


@pytest.mark.usefixtures("service")
def test_what_it_serves_cannot_be_deleted(image: Image) -> None:
    with pytest.raises(InUseError) as refused:
        image.delete()
    assert refused.value.dependents == ("service digits:1",)


def _listening(pid: int) -> set[str]:
    """The address at which a process listens, as ``HOST:PORT``; gRPC binds IPv4 addresses as IPv4-mapped IPv6 ones."""
    sockets = {link.readlink().name for link in Path(f"/proc/{pid}/fd").iterdir() }
    found = set()
    for family, table in ((socket.AF_INET, "tcp"), (socket.AF_INET6, "tcp6")):
        for entry in map(str.split, Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]):
            if entry[3] == "0A" and f"socket:[{entry[9]}]" in sockets:
                host, port = entry[1].split(":")
                words = [bytes.fromhex(host[at:at + 8])[::-1] for at in range(0, len(host), 8)]
                found.add(f"{socket.inet_ntop(family, b''.join(words)).removeprefix('::ffff:')}:{int(port, 16)}")
    return found


def test_it_listens_where_it_says(shop: Workspace, image: Image, service: Webservice) -> None:
    """The default, where the image's own command has another, and another loopback address."""
    config = LocalWebservice.deploy_configuration(auth_enabled=False, host="127.0.0.2", replicas=1)
    other = Webservice.deploy_from_image(shop, "other", image, config)
    try:
        other.wait_for_deployment()
        for each, host in ((service, "127.0.0.1"), (other, "127.0.0.2")):
            facts = each.serialize()
            assert facts["host"] == host
            assert _listening(facts["pid"]) == {facts["grpc"], facts["http"].removeprefix("http://")}
            assert {uri.split(":")[0] for uri in _listening(facts["pid"])} == {host}
    finally:
        other.delete()


def test_every_setting_reaches_the_server() -> None:
    """Including those equal to their default, since the image's own command has others."""
    config = LocalWebservice.deploy_configuration(port=Settings.port, http_port=Settings.http_port)
    options = config.options("digits", Path("keys.json"), {})
    assert {*options[::2]} == {f"--{field.name.replace('_', '-')}" for field in fields(Settings)
                               if field.name not in ("tls_cert", "tls_key", "metrics_port", "access_log", "page")}
    without = LocalWebservice.deploy_configuration(page=False, access_log="-").options("digits", Path("keys.json"), {})
    assert "--no-page" in without
    assert without[without.index("--access-log") + 1] == "-"


def test_names_are_taken_once(shop: Workspace, service: Webservice, image: Image) -> None:
    with pytest.raises(ExistsError, match="service digits:1 exists; update it"):
        Webservice.deploy_from_image(shop, "digits", image)
    assert service.state == "Healthy"
    assert [path.name for path in (shop.path / "services" / "digits").iterdir()] == ["1"]


def test_an_update_keeps_address_and_keys(shop: Workspace, service: Webservice, program: Model) -> None:
    second = Image.create(shop, "digits", program)
    second.wait_for_creation()
    address, keys = service.address, service.get_keys()
    service.update(second)
    service.wait_for_deployment()
    assert (service.version, service.image, service.address, service.get_keys()) == (2, "digits:2", address, keys)
    with client_from_service(service) as client:
        assert winner(client) == 7
    assert [path.name for path in (shop.path / "services" / "digits").iterdir()] == ["2"]
    Image(shop, "digits", 1).refresh()
    assert second.dependents() == ("service digits:2",)


def test_a_killed_server_is_failed_and_starts_again(shop: Workspace, service: Webservice) -> None:
    address = service.address
    pid = service.process.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    while service.process.alive:
        time.sleep(0.01)
    assert service.state == Webservice(shop, "digits").state == "Failed"
    with pytest.raises(WorkspaceError, match="service digits is Failed, not Healthy"):
        service.wait_for_deployment()
    service.start()
    service.wait_for_deployment()
    assert service.address == address
    service.stop()
    assert (service.state, service.process.pid) == ("Stopped", None)


@pytest.mark.usefixtures("image", "service")
def test_a_service_outlives_its_deployer(shop: Workspace) -> None:
    deployer = subprocess.Popen([sys.executable, "-c", DEPLOY, shop.path], stdout=subprocess.PIPE, text=True)
    assert deployer.stdout is not None
    assert deployer.stdout.readline() == "deployed\n"
    deployer.kill()
    deployer.communicate()
    service = Webservice(shop, "orphan")
    service.wait_for_deployment()
    pid = service.process.pid
    assert pid is not None
    assert service.delete() == ("service orphan:1",)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(NotFoundError, match="its services are: digits"):
        Webservice(shop, "orphan")


@pytest.mark.slow
def test_tls_without_keys_and_with_settings(shop: Workspace, image: Image, tmp_path: Path) -> None:
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed: apt install openssl")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert], check=True, capture_output=True)
    key.chmod(0o600)
    config = LocalWebservice.deploy_configuration(auth_enabled=False, queue=7, max_batch=2, tls_cert=cert, tls_key=key)
    service = Webservice.deploy_from_image(shop, "open", image, config)
    try:
        service.wait_for_deployment()
        assert Webservice(shop, "open").configuration == config
        assert service.http_uri.startswith("https://")
        with client_from_service(service) as client:
            assert winner(client) == 7
        with pytest.raises(WorkspaceError, match="takes no keys"):
            service.get_keys()
    finally:
        service.delete()


def test_settings_that_are_none() -> None:
    with pytest.raises(WorkspaceError, match="setting 'quue': unknown; there are access_log, attempts"):
        LocalWebservice.deploy_configuration(quue=7)
    with pytest.raises(ServeError, match="--queue 0"):
        LocalWebservice.deploy_configuration(queue=0)


def test_a_failed_start_of_a_server_is_reported_with_its_log(shop: Workspace, image: Image, tmp_path: Path) -> None:
    config = LocalWebservice.deploy_configuration(tls_cert=tmp_path / "cert.pem", tls_key=tmp_path / "key.pem")
    service = Webservice.deploy_from_image(shop, "tls", image, config)
    try:
        with pytest.raises(WorkspaceError, match=r"service tls is Failed(.|\n)*cert\.pem: no such file"):
            service.wait_for_deployment()
        with pytest.raises(WorkspaceError, match="has no address"):
            _ = service.scoring_uri
    finally:
        service.delete()


@pytest.mark.slow
def test_cascade_ends_the_server(shop: Workspace, program: Model) -> None:
    made = Image.create(shop, "doomed", program)
    made.wait_for_creation()
    service = Webservice.deploy_from_image(shop, "doomed", made)
    service.wait_for_deployment()
    pid = service.process.pid
    assert pid is not None
    assert made.delete(cascade=True) == ("service doomed:1", "image doomed:1")
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not (shop.path / "services" / "doomed").exists()
