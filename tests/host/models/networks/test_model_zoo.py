"""Downloads from a local server: the recorded SHA-256, broken downloads, no network."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from arrayloom.host.cli.main import main
from arrayloom.host.models.networks import SPECS, NetworkError, model_zoo

RESNET50 = SPECS["resnet50"]
CONTENT = bytes(range(256)) * 9000


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        if self.path == "/missing":
            self.send_error(404)
            return
        content = self.server.content
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:len(content) // 2] if self.path == "/cut" else content)

    def log_message(self, *_: object) -> None:
        """Prints no log."""


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as running:
        running.content, running.requests = CONTENT, []
        running.url = f"http://127.0.0.1:{running.server_address[1]}"
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join(10)


def test_downloads_once_and_records_what_it_got(server, tmp_path):
    seen = []
    path = model_zoo.fetch(RESNET50, tmp_path, f"{server.url}/file", lambda done, count: seen.append((done, count)))
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    record = json.loads((tmp_path / "resnet50.json").read_text())
    assert record == {"url": f"{server.url}/file", "sha256": hashlib.sha256(CONTENT).hexdigest(), "size": len(CONTENT)}
    assert model_zoo.fetch(RESNET50, tmp_path, f"{server.url}/file") == path
    assert len(server.requests) == 1
    assert sorted(each.name for each in tmp_path.iterdir()) == ["resnet50.json", "resnet50.onnx"]


def test_insists_on_what_it_got(server, tmp_path):
    url = f"{server.url}/file"
    path = model_zoo.fetch(RESNET50, tmp_path, url)
    path.write_bytes(CONTENT[1:])
    with pytest.raises(NetworkError, match="was recorded when it was first downloaded"):
        model_zoo.fetch(RESNET50, tmp_path, url)
    path.unlink()
    server.content = CONTENT + b"changed"
    with pytest.raises(NetworkError, match=r"has the SHA-256 .* was recorded .* delete .*resnet50.json"):
        model_zoo.fetch(RESNET50, tmp_path, url)
    assert not path.exists()
    server.content = CONTENT
    assert model_zoo.fetch(RESNET50, tmp_path, url).read_bytes() == CONTENT


@pytest.mark.parametrize(("path", "message"), [
    ("/missing", "the server answers 404 Not Found; download the file by other means"),
    ("/cut", r"the download broke off after 1,152,000 of 2,304,000 bytes; try again|cannot be downloaded"),
])
def test_downloads_that_fail_leave_nothing(path, message, server, tmp_path):
    with pytest.raises(NetworkError, match=message):
        model_zoo.fetch(RESNET50, tmp_path, server.url + path)
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_does_not_end(server, tmp_path, monkeypatch):
    monkeypatch.setattr(model_zoo, "LARGEST", 1_000_000)
    with pytest.raises(NetworkError, match="sends more than 1,000,000 bytes"):
        model_zoo.fetch(RESNET50, tmp_path, f"{server.url}/file")
    assert list(tmp_path.iterdir()) == []


def test_without_network(tmp_path):
    with pytest.raises(NetworkError, match=r"cannot be downloaded .*; check the connection, or download the file elsewhere"):
        model_zoo.fetch(RESNET50, tmp_path, "http://127.0.0.1:1/file")
    with pytest.raises(NetworkError, match="cannot be downloaded"):
        model_zoo.fetch(RESNET50, tmp_path, "no address")


def test_a_record_that_is_none(server, tmp_path):
    (tmp_path / "resnet50.json").write_text("{}")
    with pytest.raises(NetworkError, match="is not a record that arrayloom fetch wrote; delete it"):
        model_zoo.fetch(RESNET50, tmp_path, f"{server.url}/file")


def test_every_network_of_the_zoo_has_an_address():
    assert model_zoo.ZOO.format(name=RESNET50.zoo).endswith("/resnet50_Opset18_torch_hub/resolve/main/resnet50_Opset18.onnx")
    with pytest.raises(NetworkError, match="ssd_vgg: the model zoo has no such network"):
        model_zoo.fetch(SPECS["ssd_vgg"])


def test_the_command(server, tmp_path, capsys):
    fetch = ["fetch", "resnet50", "--folder", str(tmp_path), "--url", f"{server.url}/file"]
    assert main([*fetch, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"network": "resnet50", "file": str(tmp_path / "resnet50.onnx"),
                                                   "recipe": "imagenet"}
    assert main(["fetch", "resnet34"]) == 2
    assert "network 'resnet34': unknown" in capsys.readouterr().err
