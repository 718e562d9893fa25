"""Processes that need the same cache entry: one makes it; the others show its progress, react to Ctrl-C, and take over."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from checkout import ROOT
from interrupts import hear_interrupts

from arrayloom.sim.rtl.cache import Cache
from arrayloom.sim.rtl.process import StoppedError
from arrayloom.sim.rtl.turns import take_turn

MAKER = """
import sys
from pathlib import Path
from arrayloom.sim.rtl.cache import Cache

def make(folder, report):
    for line in sys.stdin:
        if line.strip() == "end":
            break
        report(line.strip())
    (folder / "content").write_text(sys.argv[2])

print(Cache(Path(sys.argv[1])).produce("simulator", "key", make, lambda line: print(line, flush=True)), flush=True)
"""
"""Makes the entry, one step for each line that it is given, and prints what it reports and at last the folder."""


class Process:
    """A process that makes the entry or waits for it."""

    def __init__(self, cache: Path, content: str) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", MAKER, str(cache), content], cwd=ROOT, text=True, bufsize=1,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        preexec_fn=hear_interrupts)
        self.pid = self.process.pid

    def say(self, line: str) -> None:
        self.process.stdin.write(f"{line}\n")

    def line(self) -> str:
        return self.process.stdout.readline().strip()

    def end(self) -> tuple[int, str, str]:
        """Exit code, the remaining output, and standard error."""
        output, errors = self.process.communicate(timeout=60)
        return self.process.returncode, output.strip(), errors


@pytest.fixture
def start(tmp_path):
    """``start("content")``: a ``Process`` on the test's cache, killed after the test."""
    started = []

    def start(content: str) -> Process:
        started.append(Process(tmp_path, content))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.communicate()


def _maker_and_waiter(start) -> tuple[Process, Process]:
    maker = start("by the first")
    maker.say("elaborate")
    assert maker.line() == "elaborate"
    return maker, start("by the second")


def test_who_waits_sees_who_makes_it_and_each_step(start):
    maker, waiter = _maker_and_waiter(start)
    first = waiter.line()
    assert first.startswith(f"another process is making this simulator (process {maker.pid}, for ")
    assert first.endswith(" s); waiting for it")
    assert waiter.line() == f"process {maker.pid}: elaborate"
    for step in ("verilate", "compile 1 of 5: Vtop.cpp"):
        maker.say(step)
        assert waiter.line() == f"process {maker.pid}: {step}"
    maker.say("end")
    code, folder, _ = waiter.end()
    assert code == 0 and (Path(folder) / "content").read_text() == "by the first"


def test_who_waits_hears_an_interrupt(start):
    maker, waiter = _maker_and_waiter(start)
    assert "waiting for it" in waiter.line()
    waiter.process.send_signal(signal.SIGINT)
    code, _, errors = waiter.end()
    assert code != 0 and "KeyboardInterrupt" in errors
    maker.say("end")
    assert maker.end()[0] == 0


def test_who_waits_takes_over_from_one_that_dies(start, tmp_path):
    maker, waiter = _maker_and_waiter(start)
    assert "waiting for it" in waiter.line() and waiter.line().endswith(": elaborate")
    maker.process.kill()
    assert waiter.line() == f"process {maker.pid} has ended without it; this process makes the simulator now"
    waiter.say("end")
    code, folder, _ = waiter.end()
    assert code == 0 and (Path(folder) / "content").read_text() == "by the second"
    assert sorted(path.name for path in (tmp_path / "simulator").iterdir()) == ["key", "key.lock"]


def test_a_third_process_sees_the_progress_of_the_second(start):
    maker, second = _maker_and_waiter(start)
    assert "waiting for it" in second.line() and second.line().endswith(": elaborate")
    maker.process.kill()
    assert "this process makes the simulator now" in second.line()      # otherwise the third could take over
    second.say("verilate")
    third = start("by the third")
    assert f"process {second.pid}, for " in third.line()
    second.say("end")
    assert "by the second" in (Path(third.end()[1].splitlines()[-1]) / "content").read_text()


def test_what_a_maker_is_at_is_gone_when_it_ends(tmp_path):
    lock = tmp_path / "key.lock"
    with take_turn(lock, "simulator", print) as turn:
        turn.report("verilate")
        assert json.loads(lock.read_text()) | {"begin": 0} == {
            "pid": os.getpid(), "host": os.uname().nodename, "begin": 0, "line": "verilate"}
    assert lock.read_text() == ""


def test_waiting_ends_when_the_rest_of_the_build_does(start, tmp_path):
    _maker_and_waiter(start)
    stop = threading.Event()
    with pytest.raises(StoppedError):
        Cache(tmp_path).produce("simulator", "key", lambda *_: None, lambda _: stop.set(), stop)
