"""The connection to a Ray cluster; problems are detected and reported within seconds."""

import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, TextIO

from arrayloom.host.pool.errors import PoolError
from arrayloom.host.pool.identity import identity

ANSWER_SECONDS = 5.0
CHECK_SECONDS = 60.0
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""The start of an HTTP/2 connection, since Ray uses gRPC; the answer is a SETTINGS frame, type 4."""
SETTINGS_TYPE = (3, 4)      # offset and value in the answer
NODE = "ray start --address=HEAD:PORT, after pip install '.[ray]' there"


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """The module ``ray``, connected to the cluster at ``HOST:PORT``, or ``auto`` for the cluster on this machine.

    Ray's output goes to standard error. Raises ``PoolError`` if Ray is not installed, nothing answers, or a node
    has another Arrayloom. An existing connection is reused and kept.
    """
    try:
        import ray
    except ImportError as error:
        raise PoolError(f"--ray needs the package ray ({error}): pip install '.[ray]'") from None
    if ray.is_initialized():
        yield ray
        return
    if address != "auto":
        _require_answer(address)
    with redirect_stdout(_WithoutRay(sys.stdout)):
        try:
            ray.init(address=address, log_to_driver=False, configure_logging=False)
        except Exception as error:      # Ray raises many types without a common base
            raise PoolError(f"--ray {address}: Ray cannot connect ({first_line(error)}); the command must run on a machine "
                            f"of the cluster, which joins it by {NODE}") from error
        try:
            _check_nodes(ray)
            yield ray
        finally:
            with redirect_stdout(sys.stderr):   # flush the output that Ray has buffered
                ray.shutdown()


def _require_answer(address: str) -> None:
    """Checks that the address answers; Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if not (host and port.isascii() and port.isdigit() and int(port) < 1 << 16) or "/" in host:
        raise PoolError(f"--ray {address}: must be HOST:PORT, as ray start says it, or auto; from outside of a cluster, "
                        "start the command as a job in it")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS) as connection:
            if os.environ.get("RAY_USE_TLS") == "1":
                return
            connection.sendall(HELLO)
            answer = connection.recv(len(HELLO))
    except OSError as error:
        raise PoolError(f"--ray {address}: does not answer ({error}); start a cluster there with ray start --head, or check "
                        "host, port and firewall") from None
    offset, settings = SETTINGS_TYPE
    if answer[offset:offset + 1] != bytes([settings]):
        raise PoolError(f"--ray {address}: the server there is not Ray; give the port of ray start --head, 6379 by default")


def _check_nodes(ray: Any) -> None:
    """Asks every node with processors for its Arrayloom; raises ``PoolError`` for the first that differs."""
    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
    if not nodes:
        raise PoolError(f"--ray: the cluster has no processors to work with; add a node by {NODE}; one that grows by itself "
                        "needs at least one worker from the start")
    strategy = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    ask = ray.remote(num_cpus=0)(asked_for_identity())
    found = {ask.options(scheduling_strategy=strategy(node["NodeID"], soft=False)).remote(): node for node in nodes}
    ready, waiting = ray.wait(list(found), num_returns=len(found), timeout=CHECK_SECONDS)
    if waiting:
        late = found[waiting[0]]
        raise PoolError(f"--ray: node {_name(late)} does not begin a task within {CHECK_SECONDS:.0f} s; look at ray status, "
                        "or stop that node")
    for reference in ready:
        try:
            require_same(ray.get(reference), _name(found[reference]))
        except ray.exceptions.RayError as error:
            raise PoolError(f"--ray: node {_name(found[reference])} cannot run a task ({first_line(error)}); look at its "
                            "logs, or stop it") from error


def require_same(found: str, node: str) -> None:
    """Raises ``PoolError`` if ``found``, a node's result of ``asked_for_identity``, is not this Arrayloom."""
    if found != identity():
        raise PoolError(f"--ray: node {node} has {found}, and this machine has {identity()}; install the same package "
                        "on both")


def asked_for_identity() -> Callable[[], str]:
    """A function that also runs on nodes without Arrayloom: Ray sends a local function as code, not by name."""
    def found() -> str:
        try:
            from arrayloom.host.pool.identity import identity as of_node
        except ImportError as error:
            return f"no arrayloom with a pool ({error})"
        return of_node()

    return found


def _name(node: dict[str, Any]) -> str:
    return f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"


def first_line(error: Exception) -> str:
    """First line of an error's text, or its type if it has none."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


class _WithoutRay:
    """Standard output for all threads but Ray's own: those print about lost workers, which would mix with results."""

    def __init__(self, output: TextIO) -> None:
        self._output = output

    def write(self, text: str) -> int:
        return (sys.stderr if threading.current_thread().name.startswith("ray_") else self._output).write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._output, name)
