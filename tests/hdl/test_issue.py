"""The issue queue compared with a model of tokens, fences and masks."""

import random
from collections import deque
from typing import Any

import pytest
from amaranth.hdl import ResetInserter, Signal

from arrayloom.hdl.issue import IN_FLIGHT, Issue
from arrayloom.isa.fields import CORE_UNITS, Unit
from arrayloom.isa.instructions import Elementwise, Store
from arrayloom.isa.registers import TOKEN_BITS, Cause

OWN = Unit.POST
OTHERS = [unit for unit in CORE_UNITS if unit != OWN]


def instructions(seed: int, count: int) -> list[Elementwise]:
    rng = random.Random(seed)
    own = 1 << OWN
    return [Elementwise(wait=rng.choice([0, 0, rng.randrange(16)]), signal=rng.choice([0, rng.randrange(16) & ~own]),
                   source=rng.randrange(1 << 20), destination=number) for number in range(count)]


class System:
    """An issue queue, its fetch side, a unit and other units; checks each handshake against a model."""

    def __init__(self, bench: Any, program: list[Any], *, busy: float = 0.0, gap: float = 0.0, give: float = 1.0,
                 work: int = 0) -> None:
        self.bench, self.program = bench, program
        self.issue = Issue(bench.config(), OWN)
        self.busy, self.gap, self.give, self.work = busy, gap, give, work
        self.tokens = dict.fromkeys(OTHERS, 0)
        self.accepted: list[int] = []
        self.given: list[int] = []
        self.retired = 0
        self.cycle = 0
        self.illegal: list[int] = []
        self.overflows: list[int] = []
        self.causes: list[int] = []
        self.unit_cause = Cause.IDLE

    async def push(self, ctx: Any) -> None:
        rng, port = random.Random(1), self.issue.push
        for instruction in self.program:
            while rng.random() < self.gap:
                await ctx.tick()
            await self.bench.send(ctx, port, instruction)

    async def step(self, ctx: Any) -> None:
        """A single process for unit and tokens, so that the model receives events in order."""
        rng, issue, before = random.Random(2), self.issue, 0    # tokens given in the previous cycle
        flight: deque[tuple[int, int]] = deque()
        needed = {unit: sum(i.wait >> unit & 1 for i in self.program) for unit in OTHERS}
        unit, status = issue.unit, issue.status
        while True:
            ready = rng.random() >= self.busy
            retires = bool(flight) and flight[0][0] <= self.cycle and rng.random() >= self.busy
            gives = 0
            for other in OTHERS:
                if needed[other] and rng.random() < self.give:
                    gives |= 1 << other
                    needed[other] -= 1
            ctx.set(unit.instruction.ready, ready)
            ctx.set(unit.retired, retires)
            ctx.set(unit.cause, self.unit_cause)
            ctx.set(issue.give, gives)
            *_, valid, payload, signal, in_flight, tokens, idle, illegal, overflow, cause = await ctx.tick().sample(
                unit.instruction.valid, unit.instruction.payload, issue.signal, status.in_flight,
                status.tokens.as_value(), status.idle, status.illegal, status.overflow, status.cause)
            assert in_flight == len(flight)
            counted = [(tokens >> TOKEN_BITS * u & 0xFF) + (before >> u & 1) for u in OTHERS]
            assert counted == [self.tokens[u] for u in OTHERS]
            before = gives
            assert not (idle and (flight or valid))
            assert signal == (flight[0][1] if retires else 0)
            if valid and ready:
                self.accept(payload, flight)
            if retires:
                flight.popleft()
                self.given.append(signal)
                self.retired += 1
            for other in OTHERS:
                self.tokens[other] = min(self.tokens[other] + (gives >> other & 1), (1 << TOKEN_BITS) - 1)
            self.illegal += [self.cycle] * illegal
            self.overflows += [self.cycle] * overflow
            self.causes.append(cause)
            self.cycle += 1

    def accept(self, payload: int, flight: deque[tuple[int, int]]) -> None:
        instruction = Elementwise.from_word(payload)
        assert instruction == self.program[len(self.accepted)]
        assert len(flight) < IN_FLIGHT
        for other in OTHERS:
            if instruction.wait >> other & 1:
                assert self.tokens[other] > 0, "accepted without its token"
                self.tokens[other] -= 1
        if instruction.wait >> OWN & 1:
            assert not flight, "accepted before its fence"
        self.accepted.append(self.cycle)
        flight.append((self.cycle + 1 + self.work, instruction.signal))

    def run(self, done: Any = None, **options: Any) -> int:
        return self.bench.run(self.issue, [self.push, self.step], done or (lambda: self.retired == len(self.program)),
                              **options)


@pytest.mark.parametrize("seed", range(4))
def test_tokens_fences_and_masks_under_back_pressure(bench: Any, seed: int) -> None:
    program = instructions(seed, 120)
    system = System(bench, program, busy=0.4, gap=0.3, give=0.08, work=seed * 3)
    system.run()
    assert system.given == [i.signal for i in program]
    assert not any(system.tokens.values())
    assert not system.illegal
    assert not system.overflows


def test_an_instruction_every_third_cycle(bench: Any) -> None:
    system = System(bench, instructions(0, 40), give=1.0)
    system.program = [Elementwise(destination=n) for n in range(40)]
    system.run()
    assert system.accepted[-1] - system.accepted[0] <= 3 * 39


def test_no_more_in_flight_than_masks_are_kept_for(bench: Any) -> None:
    system = System(bench, [Elementwise(destination=n) for n in range(20)], work=100)
    system.run(lambda: len(system.accepted) == IN_FLIGHT, extra=40)
    assert len(system.accepted) == IN_FLIGHT


def test_a_token_for_oneself_is_illegal_and_never_offered(bench: Any) -> None:
    system = System(bench, [Elementwise(signal=1 << OWN)])
    system.run(lambda: bool(system.illegal), extra=20)
    assert not system.accepted


def test_a_token_too_many_overflows(bench: Any) -> None:
    issue = Issue(bench.config(), OWN)
    pulses: list[int] = []

    async def give(ctx: Any) -> None:
        ctx.set(issue.give, 1 << Unit.LOAD)
        while True:
            *_, overflow = await ctx.tick().sample(issue.status.overflow)
            pulses.append(overflow)

    bench.run(issue, [give], lambda: len(pulses) >= 258)
    assert pulses.index(1) == (1 << TOKEN_BITS) + 1     # counted a cycle later, reported one more cycle later


def test_an_idle_unit_has_the_cause_of_its_queue(bench: Any) -> None:
    system = System(bench, [Elementwise(wait=1 << Unit.LOAD)], give=0.0)
    system.run(lambda: len(system.causes) == 30)
    assert system.causes[0] == Cause.IDLE
    assert set(system.causes[6:30]) == {Cause.TOKEN}


@pytest.mark.parametrize("wait", [1 << Unit.LOAD, 1 << Unit.LOAD | 1 << Unit.STORE])
def test_missing_tokens_are_reported(bench: Any, wait: int) -> None:
    system = System(bench, [Elementwise(wait=wait)], give=0.0)
    missing: list[int] = []

    async def give(ctx: Any) -> None:
        await ctx.tick().repeat(10)
        missing.append(ctx.get(system.issue.status.missing))
        ctx.set(system.issue.give, 1 << Unit.LOAD)
        await ctx.tick()
        ctx.set(system.issue.give, 0)
        await ctx.tick()
        missing.append(ctx.get(system.issue.status.missing))

    bench.run(system.issue, [system.push, give], lambda: len(missing) == 2)
    assert missing == [wait, wait & ~(1 << Unit.LOAD)]


def test_an_instruction_lacks_its_unit_until_earlier_ones_are_complete(bench: Any) -> None:
    system = System(bench, [Elementwise(), Elementwise(wait=1 << OWN)], work=20)
    missing: set[tuple[int, int]] = set()

    async def watch(ctx: Any) -> None:
        status = system.issue.status
        while True:
            in_flight = ctx.get(status.in_flight)
            await ctx.tick()
            missing.add((ctx.get(status.missing), in_flight))

    bench.run(system.issue, [system.push, system.step, watch], lambda: system.retired == 2)
    assert (1 << OWN, 1) in missing
    assert (1 << OWN, 0) not in missing


def test_a_unit_with_an_instruction_is_never_idle(bench: Any) -> None:
    system = System(bench, [Elementwise()] * 3, work=9)
    system.run(lambda: system.retired == 3)
    begin = system.accepted[0]
    assert Cause.OVERHEAD in system.causes
    assert Cause.IDLE not in system.causes[begin:begin + 9]


def test_a_working_unit_has_its_own_cause(bench: Any) -> None:
    system = System(bench, [Elementwise(wait=1 << Unit.LOAD)], give=0.0)
    system.unit_cause = Cause.DRAINING
    system.run(lambda: len(system.causes) == 30)
    assert set(system.causes[2:30]) == {Cause.DRAINING}


def test_nothing_is_offered_while_halted(bench: Any) -> None:
    system = System(bench, [Elementwise(destination=n) for n in range(6)])

    async def halt(ctx: Any) -> None:
        ctx.set(system.issue.halt, 1)
        await ctx.tick().repeat(40)
        assert not system.accepted
        ctx.set(system.issue.halt, 0)

    bench.run(system.issue, [system.push, system.step, halt], lambda: system.retired == 6)
    assert system.accepted[0] >= 40


def test_a_reset_empties_queue_tokens_and_masks(bench: Any) -> None:
    issue, clear = Issue(bench.config(), OWN), Signal()
    levels: list[tuple[int, ...]] = []

    async def drive(ctx: Any) -> None:
        ctx.set(issue.push.payload, int.from_bytes(Store(signal=1 << Unit.LOAD).encode(), "little"))
        ctx.set(issue.push.valid, 1)
        ctx.set(issue.unit.instruction.ready, 1)
        ctx.set(issue.give, 1)
        await ctx.tick().repeat(50)
        assert ctx.get(issue.status.in_flight) == IN_FLIGHT
        ctx.set(issue.push.valid, 0)
        ctx.set(issue.give, 0)
        ctx.set(clear, 1)
        await ctx.tick()
        ctx.set(clear, 0)
        levels.append((ctx.get(issue.status.idle), ctx.get(issue.status.waiting), ctx.get(issue.status.in_flight),
                       ctx.get(issue.status.tokens.as_value())))

    bench.run(ResetInserter(clear)(issue), [drive], lambda: bool(levels))
    assert levels == [(1, 0, 0, 0)]


def played(bench: Any, waiting: int, gives: set[int], cycles: int, begin: int = 1) -> tuple[list[int], int, int]:
    """Offers ``waiting`` instructions from cycle ``begin`` on; each needs a token of LOAD, given in cycles ``gives``.

    Returns when each instruction is accepted, the tokens left, and the number that overflowed.
    """
    issue, accepted, overflows, left = Issue(bench.config(), OWN), list[int](), list[int](), list[int]()

    async def push(ctx: Any) -> None:
        await ctx.tick().repeat(begin)
        for number in range(waiting):
            await bench.send(ctx, issue.push, Elementwise(wait=1 << Unit.LOAD, destination=number))

    async def unit(ctx: Any) -> None:
        ctx.set(issue.unit.instruction.ready, 1)
        retires = 0
        for cycle in range(cycles):
            ctx.set(issue.give, (1 << Unit.LOAD) * (cycle in gives))
            ctx.set(issue.unit.retired, retires)
            *_, retires, overflow = await ctx.tick().sample(issue.unit.instruction.valid, issue.status.overflow)
            accepted.extend([cycle] * retires)
            overflows.extend([cycle] * overflow)
        left.append(ctx.get(issue.status.tokens[Unit.LOAD]))

    bench.run(issue, [push, unit], lambda: bool(left))
    return accepted, left[0], len(overflows)


@pytest.mark.parametrize("gap", range(1, 9))
def test_a_token_that_comes_while_one_is_taken_is_there(bench: Any, gap: int) -> None:
    accepted, left, overflows = played(bench, 2, {20, 20 + gap}, 60)
    assert len(accepted) == 2 and not left and not overflows


def test_a_full_counter_takes_a_token_while_one_is_taken(bench: Any) -> None:
    full = (1 << TOKEN_BITS) - 1
    begin, gives, cycles = full + 10, set(range(full)), full + 40
    (accepted,), left, overflows = played(bench, 1, gives, cycles, begin)
    assert (left, overflows) == (full - 1, 0)
    for late in range(-3, 3):       # a token is counted a cycle after it is given
        early = late < -1
        assert played(bench, 1, gives | {accepted + late}, cycles, begin)[1:] == (full - early, int(early)), late
