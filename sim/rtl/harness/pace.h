// When the memory may act: the latency, the rate of beats, and random stalls.
#pragma once

#include <cstdint>

#include "digest.h"
#include "settings.h"

namespace arrayloom {

class Pace {
  public:
    void configure(const Timing& timing, uint64_t stream) {
        timing_ = timing;
        // The low half of a 32-bit draw is compared, so a percentage becomes a fraction of 2^32.
        threshold_ = static_cast<uint64_t>(timing.stall_percent) * (uint64_t{1} << 32) / 100;
        state_ = (timing.seed + 1) * 0x9E3779B97F4A7C15u + stream;
        if (state_ == 0) state_ = 1;
    }

    uint32_t latency() const { return timing_.latency; }
    uint32_t outstanding() const { return timing_.outstanding; }
    uint32_t beat_interval() const { return timing_.beat_interval; }

    // Draws whether this cycle is stalled (xorshift64, Marsaglia 2003).
    bool stall() {
        if (threshold_ == 0) return false;
        state_ ^= state_ << 13;
        state_ ^= state_ >> 7;
        state_ ^= state_ << 17;
        return (state_ >> 32) < threshold_;
    }

    void add_to(Digest& digest) const {
        digest.add(uint64_t{timing_.latency} << 32 | timing_.beat_interval);
        digest.add(uint64_t{timing_.outstanding} << 32 | timing_.stall_percent);
        if (threshold_) digest.add(state_);
    }

  private:
    Timing timing_{};
    uint64_t threshold_ = 0;
    uint64_t state_ = 1;
};

}  // namespace arrayloom
