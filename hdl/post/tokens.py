"""Tokens: what travels beside the values through the lanes, one for each group of channels."""

from amaranth.hdl import Array, Cat, Module, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from hdl.post.records import Origin
from isa.config import Config


def token_layout(config: Config) -> data.StructLayout:
    """What a group is, ``first`` of its instruction, number ``group`` of its word, ``final`` of it, and what is done to it.

    ``closing``: of the instruction's last word. ``release_parameters`` and ``release_table``: the last group that needs
    them, and they are to be dropped.
    """
    return data.StructLayout({
        "first": 1, "final": 1, "closing": 1, "group": range(config.groups), "origin": Origin, "add": 1, "table": 1,
        "release_parameters": 1, "release_table": 1,
    })


def channel_of(word, group, lane, config: Config):
    """What a lane takes of ``word`` (a sequence over channels) when it is the turn of ``group``."""
    choices = [word[channel] for channel in range(lane, config.size, config.lanes)]
    return Array(choices)[group] if len(choices) > 1 else choices[0]


class Tokens(Component):
    """A chain of ``stages`` registers that never stalls.

    Members
    -------
    enter : In(stream of tokens, always ready)
        Is at stage 0 in the next cycle.
    at : Out(tokens)
        The token at each stage.
    valid : Out(stages)
        Whether there is one.
    """

    def __init__(self, config: Config, stages: int) -> None:
        self.stages = stages
        layout = token_layout(config)
        super().__init__({
            "enter": In(stream.Signature(layout, always_ready=True)),
            "at": Out(data.ArrayLayout(layout, stages)),
            "valid": Out(stages),
        })
        self.layout = layout

    def elaborate(self, platform):
        m = Module()
        valid = Signal(self.stages)
        m.d.sync += valid.eq(Cat(self.enter.valid, valid))
        m.d.comb += self.valid.eq(valid)
        payload, moving = self.enter.payload, self.enter.valid
        for stage in range(self.stages):
            held = Signal(self.layout, name=f"stage_{stage}", reset_less=True)
            with m.If(moving):
                m.d.sync += held.eq(payload)
            m.d.comb += self.at[stage].eq(held)
            payload, moving = held, valid[stage]
        return m
