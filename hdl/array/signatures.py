"""Data between the parts of the ARRAY unit: plans, steps and pixels."""

from amaranth.hdl import unsigned
from amaranth.lib import data
from amaranth.utils import bits_for

from arrayloom.hdl.interfaces import coordinate, instruction_layout
from arrayloom.isa.config import Config
from arrayloom.isa.instructions import Convolve

SHAPES = {name: field.shape for name, field in instruction_layout(Convolve)}
_HIGH = {spec.name: spec.high for spec in Convolve.specs()}
# Bits that hold the address of every pixel inside the source, within the scratchpad or beyond it. Only these are used:
# addresses of pixels outside the source, and intermediate results, may wrap at this width.
SOURCE_ADDRESS = bits_for(_HIGH["source"] + _HIGH["blocks"] * _HIGH["plane_pitch"]
                          + _HIGH["source_height"] * _HIGH["row_pitch"] + _HIGH["source_width"])
_STEP = max(SHAPES["row_pitch"].width + SHAPES[name].width for name in ("stride_y", "dilation_y"))


def _take(*names: str) -> dict[str, object]:
    return {name: SHAPES[name] for name in names}


REGION = _take("source_height", "source_width", "height", "width", "stride_y", "stride_x", "padding", "last")


def plan_layout(centred: bool = False) -> data.StructLayout:
    """A legal instruction: fields as in ``Convolve`` and products of them.

    With ``centred`` there is a flag of that name: ``padding`` is taken from every byte.
    ``address`` is the word of pixel (0, 0) at tap (0, 0) of block 0, ``row_step`` the distance of output rows and
    ``tap_step`` that of tap rows; addresses wrap at their width, since only those of pixels inside the source are used.
    """
    step = unsigned(_STEP)
    return data.StructLayout(REGION | _take("plane_pitch", "origin_y", "origin_x", "dilation_y", "dilation_x", "taps_y",
                                            "taps_x", "blocks", "repeats", "first")
                             | {"address": unsigned(SOURCE_ADDRESS), "row_step": step, "tap_step": step} | _flag(centred))


def step_layout(config: Config) -> data.StructLayout:
    """One pass of a region through one weight tile.

    ``y``, ``x``, ``address``: source row, column and word of the region's first pixel. ``fresh``: the first step of an
    instruction with ``first``; ``final``: the last step of its instruction.
    """
    position = coordinate(Convolve, config.accumulator_depth)
    return data.StructLayout(REGION | {"row_step": unsigned(_STEP), "address": unsigned(SOURCE_ADDRESS),
                                       "y": position, "x": position, "fresh": unsigned(1), "final": unsigned(1)}
                             | _flag(bool(config.attention_lanes)))


def _flag(centred: bool) -> dict[str, object]:
    return {"centred": unsigned(1)} if centred else {}


PIXEL = data.StructLayout({
    "valid": 1,     # a pixel
    "start": 1,     # the first of its step: weights change
    "fresh": 1,     # overwrites the accumulators
    "done": 1,      # the last of a bank
})
