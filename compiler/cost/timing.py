"""Latencies of the hardware in cycles, and the memory that predictions assume.

The compiler does not import ``hdl``. Tests compare each number with the declaration in the hardware, if there is one, and
with the cycles of small programs on the RTL that depend on it.

A *group* is the part of a word that enters the lanes of the POST unit in one cycle; "to the group" means to that cycle.
"""

from dataclasses import dataclass

from arrayloom.isa.config import Config

# The memory: one beat a cycle each way.
MEMORY_LATENCY = 64         # from an address to its first beat, and from the last write beat to the answer
OUTSTANDING = 16            # bursts, each way, that the memory takes before it has answered the first
ADDRESS_LATENCY = 1         # from a unit's request to the address on the bus
ADDRESS_FREE = 1            # from there to the next request
PLACE_FREE = 1              # from a burst's last beat to the address that waited for its end

# FETCH and the instruction queues.
BEAT_TO_STORAGE = 4         # from a beat to the cycle in which it enters the storage of instructions
DISPATCH = 3                # decode, check, push
REQUEST_AFTER_ROOM = 2      # from the cycle that takes a word from the buffer, or the start, to a request
QUEUE_LATENCY = 3           # from a push to the earliest acceptance by the unit
ACCEPT_INTERVAL = 3         # between two acceptances
QUEUE_HEAD = 1              # instructions that have left the queue and wait in front of the unit
SLOT_LATENCY = 2            # from an acceptance to the next push into a full queue
TOKEN_LATENCY = 2           # from a retirement to an acceptance that waited for it
IN_FLIGHT = 8               # instructions accepted and not retired
TRANSFER_IN_FLIGHT = 1      # instructions whose bursts LOAD, or STORE, has not all asked for
END_LATENCY = 4             # from the last answer or retirement to the end of the run

# LOAD and STORE.
BURST_LATENCY = 3           # from an acceptance to the offer of its first burst
BURST_INTERVAL = 2          # from one offer to the next
REQUEST_LATENCY = 2         # from an offer to the request, and from room in a FIFO to the request
SINK_LATENCY = 2            # from a beat to its word in a FIFO
WRITE_LATENCY = 2           # from a beat to its word in the scratchpad
LOAD_FREE = 1               # from a burst's last word to the request that waited for its end
ROOM_SEEN = 3               # from a word in a FIFO to the request for the last of its room
FILL_LATENCY = 1            # from a word in a FIFO to its use
OFFER_AFTER_REQUEST = 1     # from a request of LOAD to the next offer
LAST_BURST = 1              # from the offer of an instruction's last burst to the next acceptance
STORE_READ = 2              # from an offer to the burst's first word
STORE_AHEAD = 2             # bursts of STORE between their offer and their first word
STORE_REQUESTS = 4          # bursts of STORE between their last word and their request
STORE_ROOM = 1              # from a request to the next word of a burst that waited for it
STORE_REQUEST = 1           # from the cycle after a burst's last word to the request
STORE_ANSWER = 1            # from an answer to the request that waited for it
STORE_DATA = 5              # from the cycle after a burst's last word to its beat, at least
STORE_SEND = 2              # from the request to its first beat
RETIRE_LATENCY = 1          # from a transfer's last event to its retirement

# ARRAY.
PLAN_LATENCY = 5            # from an acceptance to the earliest step
ARRAY_IN_FLIGHT = 3         # instructions between acceptance and their last step
ARRAY_FREE = 2              # from the last step of an instruction to the acceptance that waited for it
TAKE = 1                    # from the cycle that takes a step to its first pixel
WORD = 5                    # from a pixel's generation to its word at the array
SUMS_WRITTEN = 4            # from the read of an accumulator to its new value in memory
WEIGHT_LATENCY = 3          # from the read of a row of weights to its place in the shadow plane

# DEPTHWISE.
DEPTHWISE_PLAN = 7          # from an acceptance to the cycle in which its first slot is taken
DEPTHWISE_IN_FLIGHT = 3     # instructions between acceptance and their last pass
DEPTHWISE_FREE = 1          # from the last pass of an instruction to the acceptance that waited for it
DEPTHWISE_SUMS = 9          # from the end of an instruction to its bank being full

# POST.
POST_IN_FLIGHT = 4          # instructions inside
POST_LOOK = 1               # from the offer of an instruction to its acceptance
POST_FREE = 1               # from a retirement to the offer of the instruction that waited for it
POST_LATENCY = 2            # from an acceptance to the earliest group
NEXT_INSTRUCTION = 2        # from the last group of an instruction to the first of the next
PARAMETERS_SEEN = 2         # from the last word of parameters to the group that waited for it
LOOKUP_TABLE_SEEN = 1       # from the last word of a lookup table to the group that waited for it
BANK_SEEN = 1               # from a full accumulator bank to the group that waited for it
LANES_LATENCY = 37          # from a word's last group to its write
BANK_RELEASE = 2            # from the first group of the last word to the reuse of its accumulator bank
RELEASE_PARAMETERS = 9      # from the last group to room in the parameter FIFO
RELEASE_LOOKUP_TABLE = 34   # from the last group to room in the lookup table FIFO
RESIDUAL_REQUEST = 3        # from an acceptance to the request of the first residual
DRAIN_RESIDUAL_REQUEST = 2  # from the earliest group of a drain to the request of its first residual
RESIDUAL_LATENCY = 4        # from the request of a residual to its group
RESIDUAL_STAGES = 17        # from a group to the use of its residual
ROUND_TRIP = 10             # from a request to the reuse of its word's place
GATHER_REQUEST = 5          # from an acceptance to the request of the first word under a window
GATHER_LATENCY = 6          # from the request of a word to its group
GATHER_NEXT = 1             # cycles without a request between two instructions that gather
GATHER_DEPTH = 22           # words gathered ahead
GATHER_ROOM = 2             # from the end of a word's use to the request of the word that takes its place
SUM_LATENCY = 7             # from the request of a word to its addition
WORD_USED = 5               # from a word's last group to the end of its use
AVERAGE_LOAD = 1            # from the first word of an average to its addition
AVERAGE_SLOTS = 4           # cycles between additions to one sum, at least
AVERAGE_LATENCY = 9         # from the last addition to the first comparison
SEARCH_SLOTS = 4            # cycles between comparisons of one sum with thresholds, at least
SEARCH_STEPS = 8            # comparisons
SEARCH_LATENCY = 5          # from the last comparison to the group


@dataclass(frozen=True)
class ArrayTiming:
    """Latencies that depend on the shape of the array, in cycles."""

    config: Config

    @property
    def row_stages(self) -> int:
        """Registers of partial sums in a column."""
        return self.config.size // self.config.row_stage

    @property
    def reload(self) -> int:
        """From the cycle that takes a step to the first row read of the next tile."""
        return TAKE + WORD - WEIGHT_LATENCY

    @property
    def ready(self) -> int:
        """From the first row read of a tile to the earliest step that uses it."""
        last_written = WEIGHT_LATENCY + self.config.size
        return max(1, last_written - (self.row_stages - 1) - TAKE - WORD, SUMS_WRITTEN - self.reload)

    @property
    def bank_full(self) -> int:
        """From the generation of a region's last pixel to the cycle in which its bank is full."""
        return WORD + self.row_stages + self.config.size // self.config.column_stage - 1 + SUMS_WRITTEN


def residuals_ahead(config: Config) -> int:
    """Returns the largest number of residual words that the POST unit reads in advance."""
    return -(-RESIDUAL_STAGES // config.groups) + 1 + ROUND_TRIP
