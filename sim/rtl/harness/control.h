// Digests of all state that determines the timing of accelerator and memory, taken when POST completes an instruction.
#pragma once

#include <vector>

#include "digest.h"

#include "control_digest.h"
#include "pins.h"
#include "read_channel.h"
#include "settings.h"
#include "write_channel.h"

namespace arrayloom {

class Control {
  public:
    void enable(bool on) {
        on_ = on;
        running_ = false;
    }
    void clear() { points_.clear(); }

    // Called first in a cycle: registers, pins and channels have their values at its beginning.
    void sample(const Pins& pins, uint64_t now, const ReadChannel& read, const WriteChannel& write) {
        if (!on_) [[likely]] return;
        if (!pins.EVENTS(running)) {
            running_ = false;
            return;
        }
        if (!running_) {
            running_ = true;
            begin_ = now;
            retired_ = 0;
        }
        if (pins.EVENTS(retired) >> kPost & 1) take(pins, now, read, write);
    }

    const std::vector<Point>& points() const { return points_; }

  private:
    static constexpr int kPost = 2;  // arrayloom.isa.registers.Block

    void take(const Pins& pins, uint64_t now, const ReadChannel& read, const WriteChannel& write) {
        const uint64_t instruction = retired_++;
        if (!quiet(pins)) return;
        Digest digest;
        add_control(pins, digest);
        read.add_to(digest, pins, now);
        write.add_to(digest, pins, now);
        points_.push_back({now - begin_, instruction, digest.low(), digest.high()});
    }

    bool on_ = false;
    bool running_ = false;
    uint64_t begin_ = 0, retired_ = 0;
    std::vector<Point> points_;
};

}  // namespace arrayloom
