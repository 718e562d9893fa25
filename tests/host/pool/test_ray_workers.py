"""Tasks over a real Ray cluster of two nodes on this machine."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import campaign
import campaign_checks
import numpy as np
import pool_tasks
import pytest
from interrupts import hear_interrupts
from processes import LONG, hanging, wait_until_ended
from ray_nodes import ray_cluster

from arrayloom.compiler.errors import UnsupportedError
from arrayloom.host.models import digits
from arrayloom.host.pool import ray_cluster as connection
from arrayloom.host.pool.errors import PoolError, WorkerLostError
from arrayloom.host.pool.ray_workers import RayWorkers
from arrayloom.host.pool.task import Shared, Standing, Task, run_tasks
from arrayloom.host.vision import preprocess
from arrayloom.isa.errors import ConfigError

BOUNDED = 30.0      # time limit for a refusal, in seconds
HANGING = """
import sys
from pathlib import Path
import pool_tasks
from arrayloom.host.pool.ray_workers import RayWorkers
from arrayloom.host.pool.task import Task, run_tasks
marks = Path(sys.argv[1])
list(run_tasks([Task(name, pool_tasks.hang, (marks, name)) for name in ("a", "b")], RayWorkers(sys.argv[2])))
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a cluster of two nodes."""
    with ray_cluster() as address:
        yield address


def test_results_come_from_both_nodes_and_a_killed_worker_is_replaced(cluster: str, tmp_path: Path,
                                                                       capfd: pytest.CaptureFixture[str]) -> None:
    values = Shared(np.arange(300_000, dtype=np.int64))
    tasks = [Task("killed", pool_tasks.die_until, (tmp_path, "killed", 2, signal.SIGKILL)),
             *(Task(f"sum {offset}", pool_tasks.total, (values, np.int64(offset))) for offset in range(6)),
             *(Task("nap", pool_tasks.nap, (0.5,)) for _ in range(8))]
    seen: list[Standing] = []
    found = {done.index: done for done in run_tasks(tasks, RayWorkers(cluster), seen.append)}
    assert sorted(found) == list(range(len(tasks)))
    assert found[0].attempts == 3 and found[0].value == found[0].machine.process
    assert len({int(mark.name.split("-")[1]) for mark in tmp_path.iterdir()}) == 3
    for index in range(1, 7):
        assert found[index].value[0] == values.value.sum()
        assert np.array_equal(found[index].value[1], values.value + index - 1)
    assert len({done.machine.node for done in found.values()}) == 2
    assert seen[-1] == Standing(len(tasks), len(tasks), len(tasks), len(tasks), True)
    assert any(one.done % 1 for one in seen), "no task reported its progress"
    assert not capfd.readouterr().out, "standard output is the caller's"


@pytest.mark.slow
def test_errors_come_out_as_they_are_from_a_cluster(cluster: str, tmp_path: Path) -> None:
    where = RayWorkers(cluster)
    with pytest.raises(ConfigError, match=r"^size 3: must be a power of two$"):
        list(run_tasks([Task("one", pool_tasks.refuse, ("ours",))], where))
    with pytest.raises(UnsupportedError) as caught:
        list(run_tasks([Task("one", pool_tasks.refuse, ("with nodes",))], where))
    assert caught.value.nodes[0].node == "conv"
    with pytest.raises(AttributeError, match="pickle"):
        list(run_tasks([Task("back", pool_tasks.make_lambda)], where))
    with pytest.raises(WorkerLostError, match=r"^killer: its worker was lost, 3 times \(WorkerCrashedError"):
        list(run_tasks([Task("killer", pool_tasks.die_until, (tmp_path, "a", 99, signal.SIGKILL))], where))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_task_outlives_the_one_that_waits_for_it(cluster: str, tmp_path: Path, number: signal.Signals) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(pool_tasks.__file__).parent)}
    with subprocess.Popen([sys.executable, "-c", HANGING, str(tmp_path), cluster], env=environment, stderr=subprocess.PIPE,
                          preexec_fn=hear_interrupts) as process:
        numbers = hanging(tmp_path, "a", "b")
        process.send_signal(number)
        process.communicate(timeout=LONG)
    assert process.returncode == -number
    wait_until_ended(numbers)


@pytest.mark.slow
def test_node_with_another_arrayloom_is_refused(cluster: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "identity", lambda: "arrayloom 0.0.1 (0123456789ab)")
    with pytest.raises(PoolError, match=r"node .* has arrayloom .* this machine has arrayloom 0\.0\.1 \(0123456789ab\)"):
        list(run_tasks([Task("square", pool_tasks.square, (1,))], RayWorkers(cluster)))


def refused(address: str) -> str:
    """The message of a refused address, which arrives in bounded time."""
    begin = time.monotonic()
    with pytest.raises(PoolError) as caught:
        list(run_tasks([Task("square", pool_tasks.square, (1,))], RayWorkers(address)))
    assert time.monotonic() - begin < BOUNDED
    return str(caught.value)


def test_address_that_does_not_answer_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        silent = refused(f"127.0.0.1:{port}")       # accepts the connection and never answers
        server.accept()[0].close()
        threading.Thread(target=lambda: server.accept()[0].sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")).start()
        other = refused(f"127.0.0.1:{port}")
    assert f"--ray 127.0.0.1:{port}: does not answer (timed out); start a cluster there with ray start --head" in silent
    assert "the server there is not Ray" in other
    assert "does not answer" in refused(f"127.0.0.1:{port}")
    assert "does not answer" in refused("no-such-host.invalid:6379")


@pytest.mark.parametrize("address", ["6379", "host:", "host:port", "host:99999", "ray://host:10001", ""])
def test_what_is_no_address_is_refused(address: str) -> None:
    assert f"--ray {address}: must be HOST:PORT" in refused(address)


def test_missing_ray_is_refused_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert "pip install '.[ray]'" in refused("127.0.0.1:6379")


@pytest.mark.slow
def test_campaign_reports_the_same_from_a_cluster(cluster: str, capsys: pytest.CaptureFixture[str]) -> None:
    reports = []
    for more in ([], ["--ray", cluster]):
        options = campaign.parser("here", "A campaign.", 90).parse_args(more)
        assert campaign.run(options, campaign_checks.odd_ones_fail, (3,)) == campaign.FAILED
        reports.append(capsys.readouterr().out)
    assert reports[0] == reports[1] and "60 of 90 passed" in reports[0]


def a_busy_worker(name: str) -> int:
    """The process that runs a Ray task with this prefix of its name; Ray names processes after their tasks."""
    deadline = time.monotonic() + LONG
    while time.monotonic() < deadline:
        for folder in Path("/proc").iterdir():
            with suppress(OSError):
                if folder.name.isdigit() and (folder / "cmdline").read_bytes().startswith(f"ray::{name}".encode()):
                    return int(folder.name)
        time.sleep(0.02)
    raise AssertionError("no worker took a task")


@pytest.mark.slow
def test_score_over_a_cluster_that_loses_a_worker(cluster: str, tmp_path: Path) -> None:
    images = np.concatenate([preprocess(file, "digits") for file in sorted(digits.IMAGES.iterdir())])
    for number in range(6):
        np.save(tmp_path / f"batch_{number}.npy", np.roll(images, number, axis=0))
    command = [sys.executable, "-m", "arrayloom", "score", str(digits.MODEL), *map(str, sorted(tmp_path.glob("*.npy"))),
               "--config", "tiny", "--json"]
    alone = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    with subprocess.Popen([*command, "--ray", cluster], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as spread:
        worker = a_busy_worker(str(tmp_path))
        time.sleep(0.3)     # waits until the task is counted, which takes seconds
        os.kill(worker, signal.SIGKILL)
        output, said = spread.communicate(timeout=2 * LONG)
    assert spread.returncode == 0, said
    result = json.loads(output)
    assert result["images"] == alone["images"] and result["cycles"] == alone["cycles"]
    assert sorted(task["attempts"] for task in result["tasks"]) == [1, 1, 1, 1, 1, 2]
    assert len({task["node"] for task in result["tasks"]}) == 2
