"""The order in which LOAD and the ATTENTION unit fill the weight FIFO: that of the program, or a fault."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import Component, In, Out, Signature
from amaranth.utils import bits_for

from arrayloom.hdl.issue import IN_FLIGHT
from arrayloom.isa.config import Config

SIDES = (0, 1)


def filler_signature() -> Signature:
    """The instructions of a unit that fills the weight FIFO, seen from the unit.

    Members
    -------
    pushed : Out(1)
        A pulse: an instruction that fills the FIFO enters the unit's queue.
    accepted : Out(1)
        A pulse: the unit accepts an instruction.
    fills : Out(1)
        With ``accepted``: it fills the FIFO.
    retired : Out(1)
        A pulse: the oldest accepted instruction is complete.
    unordered : In(1)
        A pulse, in the next cycle: an instruction was accepted before those of the other unit that fill the FIFO and come
        earlier in the program were complete.
    """
    return Signature({"pushed": Out(1), "accepted": Out(1), "fills": Out(1), "retired": Out(1), "unordered": In(1)})


class FillOrder(Component):
    """Compares the order in which two units fill the weight FIFO with that of the program.

    For each instruction that fills the FIFO, the number of those of the other unit that come before it in the program is
    kept until it is accepted, and then compared with the number of those that are complete.

    Parameters
    ----------
    config : Config
        ``queue_depth`` instructions wait in the queue of a unit.

    Members
    -------
    fillers : In(filler_signature()).array(2)
        The units. FETCH pushes one instruction at a time.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__({"fillers": In(filler_signature()).array(len(SIDES))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        waiting = self.config.queue_depth + 1       # in a queue and at its head
        bits = bits_for(waiting + IN_FLIGHT)        # more are never pushed and not complete
        sent = [Signal(bits, name=f"sent_{side}") for side in SIDES]
        done = [Signal(bits, name=f"done_{side}") for side in SIDES]
        for side, filler in enumerate(self.fillers):
            m.submodules[f"kinds_{side}"] = kinds = SyncFIFO(width=1, depth=IN_FLIGHT)
            m.submodules[f"needs_{side}"] = needs = SyncFIFO(width=bits, depth=waiting)
            fills, ends = filler.accepted & filler.fills, filler.retired & kinds.r_data
            m.d.comb += [
                kinds.w_en.eq(filler.accepted), kinds.w_data.eq(filler.fills), kinds.r_en.eq(filler.retired),
                needs.w_en.eq(filler.pushed), needs.w_data.eq(sent[1 - side]), needs.r_en.eq(fills),
            ]
            m.d.sync += [sent[side].eq(sent[side] + filler.pushed), done[side].eq(done[side] + ends),
                         filler.unordered.eq(fills & (needs.r_data != done[1 - side]))]
        return m
