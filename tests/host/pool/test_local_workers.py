"""Tasks over local processes: results, order, errors, lost workers, and no process left at the end."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pool_tasks
import pytest
from interrupts import hear_interrupts
from processes import LONG, alive, hanging, wait_until_ended

from arrayloom.compiler.errors import UnsupportedError
from arrayloom.host.pool.drive import AHEAD
from arrayloom.host.pool.errors import PoolError, TaskError, WorkerLostError
from arrayloom.host.pool.local import LocalWorkers, ThisProcess
from arrayloom.host.pool.task import ATTEMPTS, Shared, Standing, Task, Workers, run_tasks
from arrayloom.isa.errors import ConfigError

HANGING = """
import sys
from pathlib import Path
import pool_tasks
from arrayloom.host.pool.local import LocalWorkers
from arrayloom.host.pool.task import Task, run_tasks
marks = Path(sys.argv[1])
list(run_tasks([Task(name, pool_tasks.hang, (marks, name)) for name in ("a", "b")], LocalWorkers(2)))
"""

WHERE = pytest.mark.parametrize("where", [ThisProcess(), LocalWorkers(2)], ids=["here", "two"])


@WHERE
def test_every_result_comes_with_its_task_and_machine(where: Workers) -> None:
    tasks = [Task(f"square of {value}", pool_tasks.square, (value,)) for value in range(9)]
    found = sorted(run_tasks(tasks, where), key=lambda done: done.index)
    assert [(done.index, done.task, done.value) for done in found] == [(i, tasks[i], i * i) for i in range(9)]
    processes = {done.machine.process for done in found}
    assert (processes == {os.getpid()}) if isinstance(where, ThisProcess) else os.getpid() not in processes
    assert all(done.attempts == 1 and done.machine.host == os.uname().nodename for done in found)


def test_large_arrays_go_there_and_back() -> None:
    values = np.arange(3_000_000, dtype=np.int64)
    shared = Shared(values)
    tasks = [Task("sum", pool_tasks.total, (shared, np.int64(offset))) for offset in range(4)]
    for done in run_tasks(tasks, LocalWorkers(2)):
        assert done.value[0] == values.sum()
        assert np.array_equal(done.value[1], values + done.task.arguments[1])
    with pytest.raises(AssertionError):     # writable: the function receives the caller's own array
        list(run_tasks(tasks, ThisProcess()))


def test_tasks_are_made_only_a_few_ahead() -> None:
    made = 0

    def tasks() -> Iterator[Task]:
        nonlocal made
        for value in range(40):
            made += 1
            yield Task("square", pool_tasks.square, (value,))

    for taken, _ in enumerate(run_tasks(tasks(), LocalWorkers(2))):
        assert made <= taken + 1 + 2 + AHEAD
    assert made == 40


def test_tasks_begin_while_later_ones_are_not_yet_made(tmp_path: Path) -> None:
    def tasks() -> Iterator[Task]:
        yield Task("first", pool_tasks.die_until, (tmp_path, "first", 0, 0))
        deadline = time.monotonic() + LONG
        while not list(tmp_path.iterdir()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield Task("second", pool_tasks.square, (3,))

    assert sorted(done.task.name for done in run_tasks(tasks(), LocalWorkers(1))) == ["first", "second"]


@WHERE
def test_errors_come_out_as_they_are(where: Workers) -> None:
    with pytest.raises(ConfigError, match=r"^size 3: must be a power of two$"):
        list(run_tasks([Task("one", pool_tasks.refuse, ("ours",))], where))
    with pytest.raises(UnsupportedError, match=r"Conv 'conv': its kernel is too large; make it smaller$") as caught:
        list(run_tasks([Task("one", pool_tasks.refuse, ("with nodes",))], where))
    assert caught.value.nodes[0].node == "conv"
    with pytest.raises(ValueError, match=r"^of Python$"):
        list(run_tasks([Task("one", pool_tasks.refuse, ("of Python",))], where))


def test_errors_say_where_they_were_raised() -> None:
    with pytest.raises(ValueError, match=r"^of Python$") as other:
        list(run_tasks([Task("one", pool_tasks.refuse, ("of Python",))], LocalWorkers(1)))
    assert "in refuse" in str(other.value.__cause__)
    with pytest.raises(TaskError, match=r"^one: OwnError: of a class that only exists here$"):
        list(run_tasks([Task("one", pool_tasks.refuse, ("local class",))], LocalWorkers(1)))


def test_what_cannot_be_sent_is_an_error_and_no_hang() -> None:
    with pytest.raises(AttributeError, match="pickle"):
        list(run_tasks([Task("back", pool_tasks.make_lambda)], LocalWorkers(1)))
    with pytest.raises(AttributeError, match="pickle"):
        list(run_tasks([Task("there", lambda _: 0)], LocalWorkers(1)))


def test_task_of_a_killed_worker_runs_again(tmp_path: Path) -> None:
    tasks = [Task("killed", pool_tasks.die_until, (tmp_path, "killed", 2, signal.SIGKILL)),
             *(Task("square", pool_tasks.square, (value,)) for value in range(5))]
    found = {done.index: done for done in run_tasks(tasks, LocalWorkers(2))}
    processes = {int(mark.name.split("-")[1]) for mark in tmp_path.iterdir()}
    assert found[0].attempts == len(processes) == 3
    assert found[0].value == found[0].machine.process
    assert [found[index].value for index in range(1, 6)] == [0, 1, 4, 9, 16]
    assert not any(map(alive, processes))


def test_task_whose_workers_always_end_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WorkerLostError, match=r"^killer: its worker was killed \(SIGKILL\).*memory.*, 3 times; fewer"):
        list(run_tasks([Task("killer", pool_tasks.die_until, (tmp_path, "a", 99, signal.SIGKILL))], LocalWorkers(2)))
    assert len(list(tmp_path.iterdir())) == ATTEMPTS
    with pytest.raises(WorkerLostError, match="SIGSEGV"):
        list(run_tasks([Task("killer", pool_tasks.die_until, (tmp_path, "b", 99, signal.SIGSEGV))], LocalWorkers(1)))
    with pytest.raises(WorkerLostError, match="exit code 3"):
        list(run_tasks([Task("leaver", pool_tasks.leave, (3,))], LocalWorkers(1)))


def test_consumer_that_raises_ends_all(tmp_path: Path) -> None:
    tasks = [Task("square", pool_tasks.square, (1,)), Task("long", pool_tasks.hang, (tmp_path, "long"))]
    with pytest.raises(ZeroDivisionError):
        for _ in run_tasks(tasks, LocalWorkers(2)):
            numbers = hanging(tmp_path, "long")
            raise ZeroDivisionError
    wait_until_ended(numbers)


def test_error_of_one_task_and_of_the_maker_end_the_others(tmp_path: Path) -> None:
    def tasks(last: str) -> Iterator[Task]:
        yield Task("long", pool_tasks.hang, (tmp_path, last))
        hanging(tmp_path, last)
        if last == "maker":
            raise ConfigError("of the maker")
        yield Task("refused", pool_tasks.refuse, ("ours",))

    for last, text in (("task", "size 3"), ("maker", "of the maker")):
        with pytest.raises(ConfigError, match=text):
            list(run_tasks(tasks(last), LocalWorkers(2)))
        wait_until_ended([int(number) for number in (tmp_path / last).read_text().split()])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_one_that_started_it(tmp_path: Path, number: signal.Signals) -> None:
    """Whether its parent is interrupted, terminated or killed."""
    environment = os.environ | {"PYTHONPATH": str(Path(pool_tasks.__file__).parent)}
    with subprocess.Popen([sys.executable, "-c", HANGING, str(tmp_path)], env=environment, stderr=subprocess.PIPE,
                          preexec_fn=hear_interrupts) as process:
        numbers = hanging(tmp_path, "a", "b")
        process.send_signal(number)
        _, said = process.communicate(timeout=LONG)
    assert process.returncode == -number
    wait_until_ended(numbers)
    assert not re.search(rb"(?m)^Exception in thread|^Exception ignored", said), said


@WHERE
def test_progress_is_of_all_tasks_together(where: Workers) -> None:
    seen: list[Standing] = []
    tasks = (Task("square", pool_tasks.square, (value,), size=value) for value in range(1, 5))
    assert len(list(run_tasks(tasks, where, seen.append))) == 4
    assert seen[-1] == Standing(done=10, size=10, tasks_done=4, tasks=4, complete=True)
    assert [one.done for one in seen] == sorted(one.done for one in seen)
    assert all(one.done <= one.size and not (one.complete and one.tasks < 4) for one in seen)


def test_no_workers_are_refused() -> None:
    with pytest.raises(PoolError, match=r"^0 workers: there must be at least 1"):
        LocalWorkers(0)
