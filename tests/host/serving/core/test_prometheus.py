"""A real Prometheus scrapes a service: the metrics port without a key, and the main port with one."""

import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asking
import pytest
import serving
from processes import free_port

from arrayloom.host.serving.core.http_server import METRICS
from arrayloom.host.serving.core.keys import Keys

CONFIG = """
global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}
scrape_configs:
- job_name: metrics-port
  static_configs: [{{targets: ["127.0.0.1:{metrics}"]}}]
- job_name: with-key
  authorization: {{credentials_file: {key}}}
  static_configs: [{{targets: ["127.0.0.1:{http}"]}}]
- job_name: without-key
  static_configs: [{{targets: ["127.0.0.1:{http}"]}}]
"""

pytestmark = pytest.mark.skipif(not shutil.which("prometheus"), reason="prometheus is not installed: apt install prometheus")


@pytest.fixture(scope="module")
def keyed(bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[serving.Server, Keys]]:
    folder = tmp_path_factory.mktemp("scraped")
    keys = Keys.generate()
    keys.save(folder / "keys.json")
    (folder / "key").write_text(keys.primary)
    options = ["--keys-file", folder / "keys.json", "--metrics-port", "0"]
    with serving.Server(folder, bundle_folder / "one", *options) as server:
        yield server, keys


def _ask(port: int, query: str) -> dict[str, float]:
    """The results of a query, by job."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?query={quote(query)}", timeout=5) as answer:
        result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
    return {each["metric"]["job"]: float(each["value"][1]) for each in result}


def _until(port: int, query: str, wanted: dict[str, float], process: subprocess.Popen[bytes]) -> None:
    end, found = time.monotonic() + 60, None
    while found != wanted:
        assert process.poll() is None, "prometheus ended"
        assert time.monotonic() < end, f"{query}: {found}, not {wanted}"
        time.sleep(0.2)
        try:
            found = _ask(port, query)
        except OSError as error:
            found = error


def test_prometheus_scrapes_a_service_with_keys(keyed: tuple[serving.Server, Keys], tmp_path: Path) -> None:
    server, keys = keyed
    for _ in range(3):
        asking.oip_http(server, asking.Ask({"image": serving.images(2)}, headers={"authorization": keys.secondary}))
    (tmp_path / "key").write_text(keys.primary)
    (tmp_path / "prometheus.yml").write_text(CONFIG.format(
        metrics=server.facts["metrics_port"], http=server.facts["http_port"], key=tmp_path / "key"))
    port = free_port()
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(["prometheus", f"--config.file={tmp_path / 'prometheus.yml'}",
                                    f"--storage.tsdb.path={tmp_path / 'data'}", f"--web.listen-address=127.0.0.1:{port}"],
                                   stdout=log, stderr=log)
    try:
        _until(port, "up", {"metrics-port": 1, "with-key": 1, "without-key": 0}, process)
        both = ("metrics-port", "with-key")
        _until(port, "arrayloom_images_total", dict.fromkeys(both, 6.0), process)
        _until(port, "arrayloom_queue_length", dict.fromkeys(both, 0.0), process)
        _until(port, 'sum by (job) (arrayloom_requests_total{method="infer",code="OK"})', dict.fromkeys(both, 3.0), process)
        _until(port, "histogram_quantile(0.99, sum by (job, le) (arrayloom_device_seconds_bucket)) < bool 300",
               dict.fromkeys(both, 1.0), process)
    finally:
        process.terminate()
        process.wait(30)


def test_its_own_tool_finds_no_fault_in_the_metrics(keyed: tuple[serving.Server, Keys]) -> None:
    server, keys = keyed
    text = asking.http(server, METRICS.path, headers={"authorization": keys.primary})
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
