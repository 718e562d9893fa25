"""Tokens: control information that accompanies the values through the lanes, one token per group of channels."""

from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Shape, Value, ValueLike
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from arrayloom.hdl.pipeline import flag_line
from arrayloom.hdl.post.records import IN_FLIGHT, Origin
from arrayloom.isa.config import Config


def token_layout(config: Config) -> data.StructLayout:
    """Description of a group and its processing.

    ``first`` of its instruction; ``slot`` of the instruction's records; number ``group`` of its word, ``final`` of it;
    ``closing``: of the instruction's last word; ``release_parameters`` and ``release_lookup_table``: this is the last group
    that needs them, and they are to be dropped.
    """
    return data.StructLayout({
        "first": 1, "slot": range(IN_FLIGHT), "final": 1, "closing": 1, "group": range(config.groups), "origin": Origin,
        "add": 1, "lookup_table": 1, "release_parameters": 1, "release_lookup_table": 1,
    })


def chain_layout(config: Config, stages: int) -> data.StructLayout:
    """Tokens at all stages: one shift register per bit of a token; all zero if there is none (``valid``)."""
    members = {"valid": 1} | dict(token_layout(config).members)
    return data.StructLayout({name: data.ArrayLayout(stages, Shape.cast(shape).width) for name, shape in members.items()})


def at(chains: data.View, stage: int) -> SimpleNamespace:
    """The token at a stage, with ``valid``; fields are plain values."""
    return SimpleNamespace(**{name: Cat(bit[stage] for bit in chains[name]) for name in chains.shape().members})


def choose(index: Value, choices: Iterable[ValueLike]) -> Value:
    """``choices[index]`` for a power of two of them, as a tree of multiplexers."""
    choices = list(choices)
    for bit in index:
        choices = [Mux(bit, odd, even) for even, odd in zip(choices[::2], choices[1::2], strict=True)]
    return choices[0]


def channel_of(word: Sequence[Value] | data.View, group: Value, lane: int, config: Config) -> Value:
    """The elements of ``word`` (a sequence over channels) that the lanes process for ``group``."""
    return choose(group, [word[channel] for channel in range(lane, config.size, config.lanes)])


class Tokens(Component):
    """Shift registers that never stall.

    Parameters
    ----------
    config : Config
    stages : int
        Number of stages, at least 1.

    Members
    -------
    enter : In(stream.Signature(token_layout(config), always_ready=True))
        The token is at stage 0 in the next cycle.
    chains : Out(chain_layout(config, stages))
        The tokens at all stages.
    """

    def __init__(self, config: Config, stages: int) -> None:
        if stages < 1:
            raise ValueError(f"stages = {stages}: must be at least 1")
        self.stages = stages
        super().__init__({
            "enter": In(stream.Signature(token_layout(config), always_ready=True)),
            "chains": Out(chain_layout(config, stages)),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        enter = self.enter
        for name in self.chains.shape().members:
            bits = enter.valid if name == "valid" else enter.payload[name]
            for index, chain in enumerate(self.chains[name]):
                line = flag_line(m, enter.valid & Cat(bits)[index], self.stages, f"{name}_{index}")
                m.d.comb += chain.eq(Cat(line[1:]))
        return m
