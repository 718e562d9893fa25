// One memory for both sides of the system: the accelerator's AXI, by the memory model of the plain simulation, and the bus.
#pragma once

#include <cstring>
#include <vector>

#include "memory.h"
#include "read_channel.h"
#include "write_channel.h"

namespace arrayloom {

class PlainMemory {
  public:
    PlainMemory(Pins& pins, const Timing& timing) : pins_(pins) {
        read_.configure(timing);
        write_.configure(timing);
        reset();
    }

    void reset() {
        read_.reset(pins_);
        write_.reset(pins_);
        pins_.memory_ack = 0;
    }

    // Before the clock edge: reads the system's outputs in cycle `now`.
    void sample(uint64_t now) {
        read_.sample(pins_, now, statistics_, watch_);
        write_.sample(pins_, now, statistics_, watch_);
        const bool access = pins_.memory_cyc && pins_.memory_stb && !pins_.memory_ack;
        if (access) on_bus();
        answered_ = access;
    }

    // After the clock edge: drives the memory's outputs in cycle `now`.
    void drive(uint64_t now) {
        read_.drive(pins_, now);
        write_.drive(pins_, now);
        pins_.memory_ack = answered_;
        pins_.memory_dat_r = word_;
    }

    const Watch& watch() const { return watch_; }

  private:
    void on_bus() {
        uint8_t* word = memory_.at(uint64_t{pins_.memory_adr} * sizeof word_);
        for (uint32_t lane = 0; pins_.memory_we && lane < sizeof word_; ++lane) {
            if (pins_.memory_sel >> lane & 1) word[lane] = static_cast<uint8_t>(pins_.memory_dat_w >> 8 * lane);
        }
        std::memcpy(&word_, word, sizeof word_);
    }

    Pins& pins_;
    std::vector<uint8_t> bytes_ = std::vector<uint8_t>(ARRAYLOOM_MEMORY_BYTES);
    Memory memory_{bytes_.data(), bytes_.size(), ARRAYLOOM_MEMORY_BASE};
    ReadChannel read_{memory_};
    WriteChannel write_{memory_};
    Statistics statistics_{};
    Watch watch_;
    uint32_t word_ = 0;
    bool answered_ = false;
};

}  // namespace arrayloom
