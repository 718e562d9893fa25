"""The order of jobs and the model chosen for the devices, on a simulated clock."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from arrayloom.host.serving.core.queue import Job, JobQueue
from arrayloom.host.serving.core.served_model import Model


def _model(name: str, version: int = 1) -> Model:
    return Model(name, version, Path(name), (), (), None, None, "tiny")


A, B = _model("a"), _model("b")


class Bench:
    """A queue with a simulated clock; ``take`` acts as an idle replica."""

    def __init__(self, turn: float = 10) -> None:
        self.now = 0.0
        self.queue = JobQueue(A, turn, lambda: self.now)
        self.loop = asyncio.new_event_loop()

    def add(self, model: Model) -> Job:
        return self.queue.add(model, {}, [], self.loop.create_future())

    def take(self, resting: Model | None = None) -> Job | None:
        self.queue.decide(resting)
        return self.queue.take()


@pytest.fixture
def bench() -> Any:
    bench = Bench()
    yield bench
    bench.loop.close()


def test_first_come_first_served(bench: Bench) -> None:
    jobs = [bench.add(A) for _ in range(3)]
    assert [bench.take() for _ in range(4)] == [*jobs, None]


def test_another_model_gets_the_device_when_it_is_idle(bench: Bench) -> None:
    first, other, second = bench.add(A), bench.add(B), bench.add(A)
    assert [bench.take(), bench.take()] == [first, second]
    assert bench.take() is other
    assert bench.queue.assigned is B


def test_a_model_keeps_the_device_for_its_turn_and_no_longer(bench: Bench) -> None:
    other = bench.add(B)
    own = [bench.add(A) for _ in range(3)]
    bench.now = 9
    assert bench.take() is own[0]
    bench.now = 11
    assert bench.take() is other
    bench.now = 12
    later = bench.add(B)
    assert bench.take() is later, "the model that has just got the device keeps it for a turn, too"
    bench.now = 22
    assert bench.take() is own[1]


def test_a_switch_comes_after_what_was_accepted_before(bench: Bench) -> None:
    before, other_before = bench.add(A), bench.add(B)
    bench.queue.switch(B)
    after = bench.add(A)
    assert bench.queue.switching
    assert [bench.take(), bench.take()] == [before, other_before]
    bench.queue.decide(None)
    assert not bench.queue.switching
    assert bench.take() is after, "an accepted job is not forgotten by a switch"


def test_the_device_goes_back_to_rest(bench: Bench) -> None:
    lost = bench.add(A)
    assert bench.take(resting=A) is lost
    bench.queue.switch(B)
    assert bench.take(resting=B) is None
    assert bench.queue.assigned is B
    bench.queue.put_back(lost)
    assert bench.take(resting=B) is lost
    assert bench.take(resting=B) is None
    assert bench.queue.assigned is B


def test_a_lost_job_keeps_its_place(bench: Bench) -> None:
    first, second = bench.add(A), bench.add(A)
    assert bench.take() is first
    bench.queue.put_back(first)
    assert [bench.take(), bench.take()] == [first, second]


def test_discarded_jobs_do_not_run(bench: Bench) -> None:
    first, second, other = bench.add(A), bench.add(A), bench.add(B)
    bench.queue.discard(first)
    bench.queue.discard(first)
    assert len(bench.queue) == 2
    assert bench.take() is second
    assert bench.queue.take_all(B) == [other]
    assert len(bench.queue) == 0
