"""A harness: a unit, the assumptions about its environment, and the claims about both.

The environment is free: in every cycle, an input has any value that the assumptions allow. The only port is the clock.
"""

import re
import sys
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from amaranth.back import rtlil
from amaranth.hdl import Assert, Assume, ClockDomain, Const, Cover, Elaboratable, Fragment, Module, Mux, Shape, Signal, Value
from amaranth.hdl._ast import AnyConst, AnySeq
from amaranth.hdl._mem import MemoryInstance
from amaranth.lib.data import View
from amaranth.lib.wiring import Flow
from amaranth.utils import ceil_log2

CLAIM, ASSUMPTION, COVER = "claim", "assumption", "cover"


class Inside:
    """Access to the internals of a unit: its signals by name, its submodules, its memory."""

    def __init__(self, fragment: Fragment, local: dict[str, Any] | None = None) -> None:
        self.fragment = fragment
        self._local = local or {}
        self._signals: dict[str, list[Signal]] = {}
        for statements in fragment.statements.values():
            for statement in statements:
                for signal in statement._lhs_signals():
                    known = self._signals.setdefault(signal.name, [])
                    if all(signal is not each for each in known):
                        known.append(signal)

    def __getitem__(self, name: str) -> Signal:
        """The signal of that name in the unit's source, or the only one of that name which the unit drives."""
        if name in self._local:
            return self._local[name]
        (found,) = self.all(name)
        return found

    def all(self, name: str) -> list[Signal]:
        """All signals of that name, in the order of their first assignment."""
        if name not in self._signals:
            raise KeyError(f"signal {name!r}: the unit drives none; it drives {', '.join(sorted(self._signals))}")
        return self._signals[name]

    def state(self, name: str) -> Value:
        """Whether the unit's state machine is in that state."""
        machine = self["fsm_state"]
        (number,) = (n for n in range(1 << len(machine)) if _state_name(machine, n) == name)
        return machine == number

    def part(self, name: str) -> "Inside":
        """A submodule."""
        found = [fragment for fragment, own, *_ in self.fragment.subfragments if own == name]
        if not found:
            known = [str(own) for _, own, *_ in self.fragment.subfragments]
            raise KeyError(f"part {name!r}: the unit has only {', '.join(known)}")
        return Inside(found[0])

    def memory(self, name: str) -> MemoryInstance:
        """A memory."""
        (found,) = (fragment for fragment, own, *_ in self.fragment.subfragments if own == name)
        assert isinstance(found, MemoryInstance)
        return found


@contextmanager
def _local_signals(component: Elaboratable) -> Iterator[dict[str, Any]]:
    """Signals in local variables of the component's functions: several created in one line have no names."""
    found: dict[str, Any] = {}
    before = sys.getprofile()

    def look(frame: FrameType, event: str, _argument: Any) -> None:
        if event == "return" and frame.f_locals.get("self") is component:
            found.update({name: value for name, value in frame.f_locals.items() if isinstance(value, Signal | View)})

    sys.setprofile(look)
    try:
        yield found
    finally:
        sys.setprofile(before)


def _of_condition(kind: str, name: str) -> str:
    return f"{kind}_{re.sub('[^a-z0-9]+', '_', name.lower())}"


def _state_name(machine: Signal, number: int) -> str | None:
    try:
        return str(machine.decoder(number)).split("/")[0]
    except KeyError:        # a number that no state has
        return None


class Harness(Elaboratable):
    """Subclasses state their claims in ``describe``; nothing else is needed."""

    def __init__(self) -> None:
        self.m = Module()
        self.kinds: dict[str, str] = {}     # named conditions: claim, assumption or cover
        self._names: dict[str, int] = {}
        self._started: Signal | None = None

    @abstractmethod
    def describe(self) -> None:
        """Places the unit, states assumptions and claims."""

    def elaborate(self, platform: Any) -> Module:
        self.describe()
        return self.m

    # Environment.

    def free(self, name: str, shape: Any = 1) -> Any:
        """An arbitrary value in every cycle."""
        signal = Signal(shape, name=name)
        self.m.d.comb += Value.cast(signal).eq(AnySeq(Value.cast(signal).shape()))
        return signal

    def fixed(self, name: str, shape: Any = 1) -> Any:
        """An arbitrary value, constant over time."""
        signal = Signal(shape, name=name)
        self.m.d.comb += Value.cast(signal).eq(AnyConst(Value.cast(signal).shape()))
        return signal

    def drive(self, port: Any, **given: Any) -> None:
        """Makes the inputs of a component or interface free, except those ``given`` by name."""
        signature = port.signature
        used = set()
        for path, member, value in signature.flatten(port):
            name = "__".join(map(str, path))
            if member.flow is not Flow.In or isinstance(value, Const):
                continue
            if name in given:
                used.add(name)
                self.m.d.comb += Value.cast(value).eq(Value.cast(given[name]))
            else:
                self.m.d.comb += Value.cast(value).eq(self.free(f"any_{name}", Value.cast(value).shape()))
        if unknown := set(given) - used:
            raise KeyError(f"inputs {sorted(unknown)}: the component has none of that name")

    def place(self, component: Elaboratable, name: str = "unit") -> Inside:
        """Adds the component to the harness; returns access to its internals."""
        with _local_signals(component) as local:
            fragment = Fragment.get(component, None)
        self.m.submodules[name] = fragment
        return Inside(fragment, local)

    def word(self, inside: Inside, memory: str, place: Any) -> Signal:
        """The word at ``place`` in a memory of the unit, read through a port that only the harness has."""
        found = inside.memory(memory)
        word = Signal(Shape.cast(found._data.shape), name=self._name(f"word_of_{memory}"))
        address = Signal(ceil_log2(found._data.depth), name=self._name(f"place_in_{memory}"))
        self.m.d.comb += address.eq(place)
        found.read_port(domain="comb", addr=address, data=word, en=Const(1), transparent_for=())
        return word

    @staticmethod
    def borrowed(component: Elaboratable) -> Any:
        """A component used only for its functions, not part of the harness."""
        component._MustUse__used = True
        return component

    # Time.

    @property
    def started(self) -> Signal:
        """Whether there was a previous cycle."""
        if self._started is None:
            self._started = Signal(name="started")
            self.m.d.sync += self._started.eq(1)
        return self._started

    def past(self, value: Any, name: str | None = None) -> Signal:
        """The value in the previous cycle; 0 in the first."""
        value = Value.cast(value)
        before = Signal(value.shape(), name=name or self._name("past"))
        self.m.d.sync += before.eq(value)
        return before

    def since(self, begin: Any, end: Any, name: str) -> Signal:
        """Whether ``begin`` was seen and ``end`` not since; neither counts in its own cycle."""
        on = Signal(name=name)
        self.m.d.sync += on.eq(Mux(begin, 1, on & ~Value.cast(end)))
        return on

    def count(self, name: str, shape: Any, more: Any, less: Any = 0, init: int = 0) -> Signal:
        """The number of ``more`` minus the number of ``less`` events in earlier cycles, modulo the shape."""
        total = Signal(shape, name=name, init=init)
        self.m.d.sync += total.eq(total + more - less)
        return total

    def ages(self, event: Any, cycles: int, name: str = "age") -> list[Value]:
        """The event, and whether it was 1, 2, ... ``cycles`` cycles ago."""
        line = [Value.cast(event)]
        for _ in range(cycles):
            line.append(self.past(line[-1], self._name(name)))
        return line

    # Conditions.

    def claim(self, name: str, condition: Any) -> None:
        self.m.d.comb += Assert(self._condition(CLAIM, name, condition))

    def assume(self, name: str, condition: Any) -> None:
        self.m.d.comb += Assume(self._condition(ASSUMPTION, name, condition))

    def cover(self, name: str, condition: Any) -> None:
        """A state that the assumptions must allow; otherwise the proof is vacuous."""
        self.m.d.comb += Cover(self._condition(COVER, name, condition))

    @staticmethod
    def claim_named(name: str) -> str:
        """The signal of the claim of that name."""
        return _of_condition(CLAIM, name)

    def _condition(self, kind: str, name: str, condition: Any) -> Signal:
        signal = Signal(attrs={"keep": 1}, name=self._name(_of_condition(kind, name)))
        self.kinds[signal.name] = kind
        self.m.d.comb += signal.eq(Value.cast(condition).bool())
        return signal

    def _name(self, name: str) -> str:
        number = self._names[name] = self._names.get(name, 0) + 1
        return name if number == 1 else f"{name}_{number}"

    def stays(self, name: str, valid: Any, ready: Any, *payload: Any) -> None:
        """The rule of a stream: an offer stays until it is accepted."""
        waits = self.past(Value.cast(valid) & ~Value.cast(ready), self._name(f"waits_{name.replace(' ', '_')}"))
        self.claim(f"{name} stays offered", ~waits | valid)
        for value in payload:
            self.claim(f"{name} stays the same", ~waits | (self.past(value) == Value.cast(value)))

    def rtlil(self) -> str:
        """The harness and its unit as RTLIL with the clock as the only port."""
        domain = ClockDomain("sync", reset_less=True)
        self.m.domains.sync = domain
        return rtlil.convert(self, name="top", ports=[domain.clk], emit_src=False)

    def names(self, kind: str) -> list[str]:
        return [name for name, own in self.kinds.items() if own == kind]
