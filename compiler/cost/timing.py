"""Cycles that the hardware takes from one event to another, and the memory that the predictions assume.

The hardware's own constants are in ``hdl``, which the compiler does not import; a test compares the two.
"""

from dataclasses import dataclass

from arrayloom.isa.config import Config

# The memory: one beat a cycle each way.
MEMORY_LATENCY = 64         # from an address to its first beat, and from the last write beat to the answer
OUTSTANDING = 16            # bursts, each way, that memory takes before it has answered the first
PAGE_BYTES = 4096           # no burst crosses such a border
BURST_WORDS = 16            # longest burst of LOAD and STORE
ADDRESS_CYCLES = 2          # from one read address to the next
ADDRESS_LATENCY = 1         # from a unit's request to the address on the bus

# FETCH and the instruction queues.
CHUNK_BYTES = 256           # burst of FETCH
BUFFER_BYTES = 4 * CHUNK_BYTES
FIRST_REQUEST = 2           # cycle of the first request, counted from the start of the run
BEAT_TO_STORAGE = 2         # from a beat to the cycle that takes it from the buffer
DISPATCH = 3                # decode, check, push
REQUEST_AFTER_ROOM = 2      # from a word's leaving the buffer to the next request
QUEUE_LATENCY = 3           # from a push to the earliest acceptance by the unit
ACCEPT_INTERVAL = 3         # between two acceptances
SLOT_LATENCY = 2            # from an acceptance to the next push into a full queue
TOKEN_LATENCY = 2           # from a retirement to an acceptance that waited for it
IN_FLIGHT = 8               # instructions accepted and not retired
END_LATENCY = 3             # from the last answer to the end of the run

# LOAD and STORE.
BURST_LATENCY = 3           # from an acceptance to the offer of its first burst
BURST_INTERVAL = 2          # from one offer to the next
REQUEST_LATENCY = 2         # from an offer to the request, and from room in a FIFO to the request
SINK_LATENCY = 1            # from a beat to its word in a FIFO
WRITE_LATENCY = 2           # from a beat to its word in the scratchpad
FILL_LATENCY = 1            # from a word in a FIFO to its use
STORE_READ = 3              # from an offer to the first read on chip
STORE_REQUEST = 1           # from the last read on chip to the request
STORE_SEND = 2              # from the request to its first beat
RETIRE_LATENCY = 1          # from a transfer's last event to its retirement

# ARRAY.
PLAN_LATENCY = 5            # from an acceptance to the earliest step
PLANS = 3                   # instructions between acceptance and their last step
TAKE = 1                    # from a step's being taken to its first pixel
WORD = 4                    # from a pixel's generation to its word at the array
SUMS_WRITTEN = 4            # from the read of an accumulator to its new value in memory
WEIGHT_LATENCY = 2          # from the read of a row of weights to its place in the shadow plane

# POST.
POST_IN_FLIGHT = 4          # instructions inside
POST_LATENCY = 3            # from an acceptance to the earliest group
TURN = 2                    # from the last group of an instruction to the first of the next
CONSTANTS_SEEN = 2          # from the last word of parameters, or of a table, to the group that waited for it
HALF_SEEN = 1               # from a full accumulator bank to the group that waited for it
LANES_LATENCY = 37          # from a word's last group to its write
HALF_LATENCY = 2            # from the first group of the last word to the reuse of its accumulator bank
RESIDUAL_LATENCY = 6        # from the launch of a residual to the first word
RESIDUAL_AHEAD = 16         # residual words read before a vector pass gets the port for its own, at most
GATHER_LATENCY = 12         # from an acceptance to the first word gathered, taps not counted
GATHER_DEPTH = 20           # words gathered ahead
RELEASE_PARAMETERS = 9      # from the last group to room in the parameter FIFO
RELEASE_TABLE = 34          # from the last group to room in the table FIFO
SUM_TURN = 5                # from the last group of a sum to the first tap of the next
AVERAGE_SLOTS = 4           # cycles between additions to one sum, at least
SEARCH_SLOTS = 4            # cycles between looks at the thresholds for one sum, at least
SEARCH_STEPS = 8            # looks
SEARCH_LATENCY = 10         # from the last addition to the first look, and from the last look to the result


@dataclass(frozen=True)
class ArrayTiming:
    """Latencies that depend on the shape of the array, in cycles."""

    config: Config

    @property
    def row_stages(self) -> int:
        return self.config.size // self.config.row_stage

    @property
    def reload(self) -> int:
        """From a step's being taken to the first row read of the next tile."""
        return TAKE + WORD - WEIGHT_LATENCY

    @property
    def ready(self) -> int:
        """From the first row read of a tile to the earliest step that uses it."""
        last_written = WEIGHT_LATENCY + self.config.size
        return max(1, last_written - (self.row_stages - 1) - TAKE - WORD, SUMS_WRITTEN - self.reload)

    @property
    def half_full(self) -> int:
        """From the generation of a region's last pixel to the earliest group that drains it."""
        return WORD + self.row_stages + self.config.size // self.config.column_stage - 1 + SUMS_WRITTEN
