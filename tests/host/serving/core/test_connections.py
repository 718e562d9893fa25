"""HTTP connections that their clients leave open."""

import contextlib
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import asking
import numpy as np
import pytest
import serving

from arrayloom.host.serving.core.http_server import METRICS

FILES = 200


@contextlib.contextmanager
def _few_files() -> Iterator[None]:
    """Processes started meanwhile may open only few files."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("port", ["http_port", "port"])
def test_idle_connections_do_not_use_up_the_files(bundle_folder: Path, tmp_path: Path, port: str) -> None:
    """Those of either port leave room for requests to the other one."""
    with contextlib.ExitStack() as stack:
        with _few_files():
            server = stack.enter_context(serving.Server(tmp_path, bundle_folder / "one"))
        for _ in range(FILES + 50):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.facts[port]), timeout=10))
        assert asking.http(server, METRICS.path)
        if port == "http_port":
            assert asking.tfs_grpc(server, asking.Ask({"image": np.zeros((1, 1, 8, 8), np.float32)}))
