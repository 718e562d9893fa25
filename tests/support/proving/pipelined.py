"""Harnesses of pipelines: one value is followed from stage to stage, among arbitrary values before and after it."""

from typing import Any

from amaranth.hdl import Cat, Mux, Signal, Value

from .harness import Harness


class Pipelined(Harness):
    """A value enters when ``marked``; each stage's inputs belong to it while it is there, and are arbitrary otherwise."""

    def begin(self, latency: int) -> None:
        """The marks at stages 0 to ``latency``; ``enables`` says where there is a value, marked or not."""
        mark = self.free("marked")
        self.marks = self.ages(mark, latency, "marked_at")
        self.valid = self.ages(mark | self.free("another"), latency, "valid_at")

    def enables(self, stages: int) -> Value:
        return Cat(self.valid[:stages])

    def at(self, stage: int, name: str, shape: Any) -> tuple[Signal, Signal]:
        """A property of the marked value, and the input that has it when the value is at ``stage``."""
        own, given = self.fixed(name, shape), Signal(shape, name=f"{name}_given")
        self.m.d.comb += given.eq(Mux(self.marks[stage], own, self.free(f"{name}_of_others", shape)))
        return own, given
