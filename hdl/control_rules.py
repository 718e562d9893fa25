"""Rules for control state that is sometimes meaningless: two states that differ only in such parts behave identically.

A register that another one declares empty is overwritten before anything depends on it; only the queue entries between
the pointers matter, wherever they are in memory. The rules are proved on the netlist by
tests/sim/rtl/test_rtl_control_proof.py: states that are equal under them stay equal forever, with equal outputs. Names are
those of the flat netlist. A rule with a name that a netlist lacks is not applied there, which makes the comparison stricter
but still correct.
"""

from dataclasses import dataclass

from arrayloom.hdl.run import State

RUNNING = {"control.run.state": int(State.RUN)}
"""The registers whose change ends a run."""
BOUNDED = {"control.over": 0}
"""A register that ends a run at its cycle limit: runs are compared only as long as they do not reach it."""
QUIET = RUNNING | BOUNDED | {
    "slave.addressed": 0, "slave.loaded": 0, "control.begin": 0, "control.stop": 0,
    "control.run.clear": 0, "control.run.resets": 0, "control.run.bus__halt": 0, "control.run.fetch__start": 0,
}
"""Registers that keep these values during a run in which no register is written over AXI4-Lite."""


@dataclass(frozen=True)
class Rule:
    """In ``instance``, ``registers`` are meaningful only while ``live`` holds.

    ``registers`` are separated by spaces; a name includes its parts (``now`` for ``now.width``). ``live`` is an
    expression over registers of the instance, with ``~``, ``&``, ``|``, ``==`` and an index for a bit.
    """

    instance: str
    registers: str
    live: str


@dataclass(frozen=True)
class Queue:
    """Memory ``instance.storage`` is a ring buffer in which only the oldest words are meaningful.

    ``level`` is a register with their number, or a pair whose difference is the number, modulo their range; then ``filled``
    is a register that shows whether there are any. A word read on a clock edge is meaningful while ``output`` holds.
    """

    instance: str
    level: str | tuple[str, str]
    output: str | None = None
    filled: str | None = None


def _elastic(instance: str) -> tuple[Rule, ...]:
    """``arrayloom.hdl.flow_control.Elastic``."""
    return Rule(instance, "leave__payload", "leave__valid"), Rule(instance, "spare", "filled")


def _bursts(instance: str) -> tuple[Rule, ...]:
    """``arrayloom.hdl.bursts.Bursts``; the states of its FSM are numbered in the order of their first use."""
    size, offer = 4, 5
    return (Rule(instance, "current", "~region__ready"),
            Rule(instance, "address run chip chip_run chip_end memory_end left rows",
                 f"(fsm_state == {size}) | (fsm_state == {offer})"),
            Rule(instance, "words ends_run final", f"fsm_state == {offer}"))


def _walk(instance: str) -> tuple[Rule, ...]:
    """``arrayloom.hdl.post.walk.RegionWalk``."""
    return (Rule(instance, "now width address over last_row last_word", "active"),)


RULES: tuple[Rule, ...] = (
    Rule("", "axi__araddr axi__arid axi__arlen", "axi__arvalid"), Rule("", "axi__awaddr axi__awlen", "axi__awvalid"),
    Rule("fetch", "bus__request__payload", "bus__request__valid"),
    Rule("fetch", "word", "word_there"), Rule("fetch", "arriving_word", "arrives"),
    *(Rule(f"{unit}_issue", "unit__instruction__payload", "filled") for unit in ("load", "array", "post", "store")),
    *_bursts("load.bursts"), *_bursts("store.bursts"),
    Rule("load", "pending", "pending_valid"), Rule("load", "word", "filled"), Rule("load", "spare", "spare_filled"),
    Rule("load", "following", "~first"), *_elastic("load.placing"),
    Rule("array.decoder", "fields", "holds"), Rule("array.decoder", "plan__payload source origin pixels counted", "planned"),
    Rule("array.decoder", "plan.address fits as_begun", "checked"),
    Rule("array.expander", "plan repeats taps_x taps_y blocks x y tap row block", "holds"),
    Rule("array.expander", "repeats_wraps taps_x_wraps taps_y_wraps blocks_wraps fresh", "holds & (settled | counting)"),
    Rule("array.streamer", "step rows columns row_end last_row x y word row", "working"),
    Rule("array.streamer", "bank held", "read"),
    Rule("post", "checks", "looked"), *_walk("post.places"), *_walk("post.destinations"),
    Rule("post.sequencer", "now width last_row last_word needs start_ok", "active"),
    Rule("post.windows", "shape left last ix iy base_x base_y", "active"),
    Rule("post.windows", "row column held", "working"), Rule("post.windows", "out total far", "tap__valid"),
    *_elastic("post.gather.requests"), *_elastic("post.residuals.requests"), *_elastic("post.writer.places"),
    *(Rule("post.gather", f"tap_{stage}", f"valid[{stage}]") for stage in range(4)),
    Rule("post.gather", "word", "pushing"),
    *(Rule("post.average*.search", f"probe_{stage}", f"enables[{stage}]") for stage in range(3)),
    Rule("post.average*.search", "bit", "busy"),
    Rule("store", "burst chip left final", "reading"), *_elastic("store.next_burst"), *_elastic("store.places"),
)
PLACE, OFFER = 2, 3     # states of the machine in Passes, after LOOK and EMPTY
OF_DEPTHWISE: tuple[Rule, ...] = (
    Rule("depthwise_issue", "unit__instruction__payload", "filled"),
    Rule("depthwise.decoder", "fields", "holds"), Rule("depthwise.decoder", "plan.address legal", "checked"),
    Rule("depthwise.decoder", "plan__payload source origin pixels counted", "planned"),
    Rule("depthwise.passes", "plan columns rows repeats line origin weights y fresh", "fsm_state"),
    Rule("depthwise.passes", "count lead column final", f"(fsm_state == {PLACE}) | (fsm_state == {OFFER})"),
    Rule("depthwise.passes", "address follows slots", f"fsm_state == {OFFER}"),
    Rule("depthwise.walker", "now weighs over age place line word column row left row_end rows last_row tail waits columns "
                             "output_rows started", "working"),
    Rule("depthwise.walker", "slot", "valid"), Rule("depthwise.walker", "bank held", "read"),
    *(Rule("depthwise", name, f"reading[{stage}]") for stage, name in enumerate(("slot_0", "slot_1", "slot"))),
    Rule("depthwise.multiplier", "held", "there"), Rule("depthwise.multiplier", "of", "multiplies"),
)
"""Additional ones of accelerators with a DEPTHWISE unit."""


def _issue(unit: str) -> tuple[Queue, ...]:
    """``arrayloom.hdl.issue``."""
    return Queue(f"{unit}_issue.queue", "level"), Queue(f"{unit}_issue.masks", "level")


QUEUES: tuple[Queue, ...] = (
    *(queue for unit in ("load", "array", "post", "store") for queue in _issue(unit)),
    *(Queue(name, "inner_level", "r_rdy") for name in (
        "fetch.buffer", "load.records", "store.requests", "store.answers", "post.gather.fifo",
        "bus.lengths", "bus.fetch_lengths", "bus.load_lengths")),
    *(Queue(f"post.{name}_backlog", ("newest", "oldest"), filled="some")
      for name in ("window", "region", "work", "residual")),
)
QUEUES_OF_DEPTHWISE = _issue("depthwise")
"""Additional ones of accelerators with a DEPTHWISE unit."""
