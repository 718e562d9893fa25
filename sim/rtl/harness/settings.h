// Plain structures that Python writes or reads: ctypes mirrors them field by field in library.py.
#pragma once

#include <cstdint>

namespace arrayloom {

// Timing of the memory, in clock cycles.
struct Timing {
    uint32_t latency;        // from an address taken to its first beat, and from the last write beat to the response
    uint32_t outstanding;    // bursts taken and not yet answered, for each direction, at most kMaxOutstanding
    uint32_t beat_interval;  // from one beat to the next, for each direction
    uint32_t stall_percent;  // chance in each cycle that a ready or a new valid is held back
    uint64_t seed;           // of the generator that draws the stalls
};

struct Statistics {
    uint64_t read_bursts;
    uint64_t read_beats;
    uint64_t read_busy_cycles;  // cycles in which a read burst was outstanding
    uint64_t write_bursts;
    uint64_t write_beats;
    uint64_t write_busy_cycles;
};

// Cycles in which no cause changed: the causes, and the blocks whose oldest instruction ended with the last one.
struct Segment {
    uint32_t cycles;
    uint32_t causes;   // four bits a block
    uint32_t retired;  // one bit a block
    uint32_t words_read;
    uint32_t words_written;
};

// The control state at the beginning of a cycle after the completion of a POST instruction.
struct Point {
    uint64_t cycle;        // 0 is the first of the run
    uint64_t instruction;  // of POST, counted from 0
    uint64_t digest_low, digest_high;
};

enum class Stop : int32_t { Limit = 0, Irq = 1, Failed = 2 };

constexpr uint32_t kMaxOutstanding = 256;

}  // namespace arrayloom
