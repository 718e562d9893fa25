"""A Ray cluster of two nodes on this machine, each with one processor, as processes that end with the context."""

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

STORE_BYTES = 100_000_000       # memory for objects in each node, in bytes
START_SECONDS = 300.0
STARTED = "Ray runtime started"
WITH_PARENT = """
import subprocess, sys
with subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL) as node:
    sys.stdin.read()        # to its end, which is that of the process which holds the other side
    node.terminate()        # it ends what it has started
"""
RAY = [sys.executable, "-c", WITH_PARENT, sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--num-cpus", "1",
       "--object-store-memory", str(STORE_BYTES), "--disable-usage-stats"]


@contextmanager
def ray_cluster() -> Iterator[str]:
    """``HOST:PORT`` of the cluster; its workers can import the modules of tests/support."""
    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp", ignore_cleanup_errors=True) as folder, ExitStack() as stack:
        port = _free_port()     # the path of a socket must be short, and so must the folder's
        said = stack.enter_context(_node(Path(folder), "head", "--head", "--port", str(port), "--include-dashboard=false",
                                         "--temp-dir", folder))
        (address,) = re.findall(r"ray start --address='([^']+)'", said)
        stack.enter_context(_node(Path(folder), "second", "--address", address))
        yield address


@contextmanager
def _node(folder: Path, name: str, *options: str) -> Iterator[str]:
    """Starts a node; returns its output."""
    log = folder / f"{name}.log"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent), "RAY_USAGE_STATS_ENABLED": "0"}
    with log.open("w") as output, subprocess.Popen([*RAY, *options], env=environment, stdin=subprocess.PIPE, stdout=output,
                                                   stderr=output, start_new_session=True) as process:
        yield _wait_for_start(process, log)


def _wait_for_start(process: "subprocess.Popen[bytes]", log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while STARTED not in (said := log.read_text()):
        assert process.poll() is None and time.monotonic() < deadline, said
        time.sleep(0.1)
    return said


def _free_port() -> int:
    with socket.create_server(("", 0)) as server:
        return int(server.getsockname()[1])
