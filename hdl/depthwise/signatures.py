"""Layouts of the data between the parts of the DEPTHWISE unit: plans, passes and slots."""

from amaranth.hdl import unsigned
from amaranth.lib import data
from amaranth.utils import bits_for

from arrayloom.hdl.interfaces import coordinate, instruction_layout
from arrayloom.isa.config import WIDEST_STRIDE, Config
from arrayloom.isa.instructions import Depthwise

LEAST_PASS = 6      # slots of a pass, so that a sum is written before it is read again

SHAPES = {name: field.shape for name, field in instruction_layout(Depthwise)}
_HIGH = {spec.name: spec.high for spec in Depthwise.specs()}
# Bits that hold the word of every pixel inside the source and every weight, within the scratchpad or beyond it; all others
# may be taken modulo this width.
ADDRESS = bits_for(max(_HIGH["source"] + _HIGH["source_height"] * _HIGH["row_pitch"] + _HIGH["source_width"],
                       _HIGH["weights"] + _HIGH["repeats"] * _HIGH["taps_y"] * _HIGH["taps_x"]))
_STEP = max(SHAPES["row_pitch"].width + SHAPES[name].width for name in ("stride_y", "dilation_y"))
_SLOTS = SHAPES["width"].width + WIDEST_STRIDE      # bits in the slots of a row


def _take(*names: str) -> dict[str, object]:
    return {name: SHAPES[name] for name in names}


REGION = (_take("source_height", "source_width", "height", "width", "stride_y", "stride_x", "padding")
          | {"row_step": unsigned(_STEP)})


def plan_layout() -> data.StructLayout:
    """A legal instruction: fields as in ``Depthwise``, and products of them.

    ``address`` is the word of source row ``origin_y``, column 0. ``row_step`` is the distance in words between the source
    rows of neighbouring output rows, ``tap_step`` that between tap rows. With ``narrow``, a pass has one column of the
    kernel, and consecutive slots are ``stride_x`` source columns apart instead of one. ``span`` is the number of slots of a
    row of outputs.
    """
    own = _take("origin_y", "origin_x", "dilation_y", "dilation_x", "taps_y", "taps_x", "repeats")
    return data.StructLayout(REGION | own | {"weights": unsigned(ADDRESS), "address": unsigned(ADDRESS),
                                             "tap_step": unsigned(_STEP), "narrow": 1, "span": unsigned(_SLOTS)})


def pass_layout(config: Config) -> data.StructLayout:
    """A pass: the region is multiplied with up to ``depthwise_columns`` columns of one row of the kernel.

    ``weights`` is the word of the first of ``count`` weights. ``y``, ``column`` and ``address`` are the source row, column
    and word of the first slot. ``left`` is the source column of the first of ``depthwise_columns`` operands of the first
    output; if there are fewer weights, those of the first operands are zero. ``lead`` is the number of slots before the
    first output, ``slots`` that of a row. With ``follows``, rows follow each other without a gap, and ``lead`` slots come
    after the last row. ``fresh`` marks the first pass of an instruction, ``final`` the last.
    """
    columns = config.depthwise_columns
    position = coordinate(Depthwise, config.accumulator_depth)
    return data.StructLayout(REGION | {
        "weights": unsigned(ADDRESS), "count": range(columns + 1), "narrow": 1,
        "y": position, "column": position, "left": position, "address": unsigned(ADDRESS), "lead": range(columns),
        "slots": unsigned(_SLOTS + 1), "follows": 1, "fresh": 1, "final": 1})


def slot_layout(config: Config) -> data.StructLayout:
    """A slot: describes how a word of the scratchpad is used when it arrives."""
    return data.StructLayout({
        "weight": 1,        # a word of the kernel, else of the source
        "place": range(config.depthwise_columns),   # of the weight
        "clear": 1,         # the other weights become zero
        "fire": 1,          # an output is complete with this word
        "inside": config.depthwise_columns,         # its operands that lie inside the source
        "padding": 8,       # what the others are
        "start": 1,         # the first output of a pass
        "fresh": 1,         # overwrites what the sums hold
        "done": 1,          # the last output of a bank
    })
