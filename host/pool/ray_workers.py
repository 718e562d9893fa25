"""Runs tasks on the machines of a Ray cluster as Ray tasks, which Ray places, retries and cancels."""

import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

from arrayloom.host.pool.drive import AHEAD, drive
from arrayloom.host.pool.errors import PoolError, TaskError, WorkerLostError
from arrayloom.host.pool.identity import identity
from arrayloom.host.pool.meter import Meter
from arrayloom.host.pool.ray_cluster import CHECK_SECONDS, asked_for_identity, connected, first_line, require_same
from arrayloom.host.pool.task import ATTEMPTS, Done, Progress, Shared, Task

NEWS_SECONDS = 0.25
ANSWER_SECONDS = 10.0
ROUNDS = 2
"""Tasks in progress per processor: one runs, and the next is already on the node."""


class RayWorkers:
    """One task for each processor of the Ray cluster at ``address``: ``HOST:PORT``, or ``auto``.

    The command must run on a machine of the cluster, and every node must have the same Arrayloom; both are checked.
    """

    def __init__(self, address: str) -> None:
        self.address = address

    @property
    def count(self) -> int:
        """The processors that the cluster has now. Raises ``PoolError`` if it cannot be reached."""
        with connected(self.address) as ray:
            return _processors(ray)

    def run(self, tasks: Iterable[Task], progress: Progress | None = None) -> Iterator[Done]:
        meter = Meter(progress)
        with connected(self.address) as ray:
            yield from drive(tasks, _Crew(ray, meter), meter)


class _Crew:
    def __init__(self, ray: Any, meter: Meter) -> None:
        from arrayloom.host.pool import on_node

        self._ray, self._meter, self._on_node = ray, meter, on_node
        self._run = uuid.uuid4().hex
        self._lent: dict[str, Any] = {}
        self._waiting: dict[Any, tuple[int, Task]] = {}
        self._begin = ray.remote(max_retries=ATTEMPTS - 1)(_checked_run(identity()))
        self._board = _board(ray)
        self._over = threading.Event()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def room(self) -> int:
        """The limit follows the cluster's current number of processors: it may grow and shrink."""
        return ROUNDS * _processors(self._ray) + AHEAD

    def give(self, index: int, task: Task) -> None:
        shared = {position: one for position, one in enumerate(task.arguments) if isinstance(one, Shared)}
        for one in shared.values():
            if one.key not in self._lent:
                self._lent[one.key] = self._put(one.value)
        arguments = [None if position in shared else value for position, value in enumerate(task.arguments)]
        keys = {position: one.key for position, one in shared.items()}
        begun = self._on_node.Begun(self._run, index, task.name, keys)
        # Ray does not resolve references inside containers before a task begins; the task does so itself.
        call = self._put((task.function, arguments)), {key: self._lent[key] for key in keys.values()}
        reference = self._begin.options(name=task.name).remote(index, tuple(begun), call, self._board)
        self._waiting[reference] = index, task

    def has_result(self) -> bool:
        return bool(self._ray.wait(list(self._waiting), timeout=0)[0])

    def result(self) -> Done:
        (reference,), _ = self._ray.wait(list(self._waiting))
        index, task = self._waiting.pop(reference)
        answer = self._answer(task, reference)
        if answer.outcome is None:
            raise WorkerLostError(f"{task.name}: its worker was stopped for lack of memory, {ATTEMPTS} times; use nodes "
                                  "with more memory, or with fewer processors")
        return Done(index, task, answer.outcome.result(), answer.machine, answer.outcome.seconds, answer.attempt)

    def kill(self) -> None:
        for reference in self._waiting:
            self._ray.cancel(reference, force=True)

    def join(self) -> None:
        self._over.set()
        self._listener.join()
        self._ray.kill(self._board)

    def _put(self, value: Any) -> Any:
        return self._ray.put(self._on_node.parcel(value))

    def _answer(self, task: Task, reference: Any) -> Any:
        try:
            found, node, carried = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            raise TaskError(f"{task.name}: {type(error.cause).__name__}: {error.cause}") from error
        except self._ray.exceptions.RayError as error:
            raise WorkerLostError(f"{task.name}: its worker was lost, {ATTEMPTS} times ({type(error).__name__}: "
                                  f"{first_line(error)}); if memory ran out, use nodes with more of it, or with fewer "
                                  "processors") from error
        require_same(found, node)
        return self._on_node.opened(carried)

    def _listen(self) -> None:
        """Passes on the board's progress until the run is over."""
        while not self._over.wait(NEWS_SECONDS):
            with suppress(self._ray.exceptions.RayError):       # the cluster has ended; ``result`` reports it
                for index, done in self._ray.get(self._board.news.remote(), timeout=ANSWER_SECONDS).items():
                    self._meter.move(index, done)


def _processors(ray: Any) -> int:
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def _board(ray: Any) -> Any:
    """Starts the ``Board`` on this machine and waits for its answer, so that workers can report their start to it."""
    from arrayloom.host.pool.on_node import Board

    strategy = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    here = strategy(ray.get_runtime_context().get_node_id(), soft=True)
    board = ray.remote(num_cpus=0)(Board).options(scheduling_strategy=here).remote()
    try:
        ray.get(board.news.remote(), timeout=CHECK_SECONDS)
    except ray.exceptions.RayError as error:
        raise PoolError(f"--ray: no process can be started on this machine ({first_line(error)}); look at "
                        "ray status") from error
    return board


def _checked_run(wanted: str) -> Callable[..., Any]:
    """A function for Ray that runs a task if the node has the ``wanted`` Arrayloom: a node may have joined late."""
    ask = asked_for_identity()

    def task(number: int, begun: tuple[Any, ...], call: tuple[Any, Any], board: Any) -> tuple[str, str, Any]:
        import socket

        import ray

        attempt = ray.get(board.begin.remote(number))   # first: a worker can be lost during the imports below
        found, node = ask(), socket.gethostname()
        if found != wanted:
            return found, node, None
        from arrayloom.host.pool.on_node import Begun, run

        return found, node, run(Begun(*begun), attempt, call[0], call[1], board)

    return task
