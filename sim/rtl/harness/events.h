// The activity of every unit in every cycle of a run, as segments of constant activity.
#pragma once

#include <vector>

#include "pins.h"
#include "settings.h"

namespace arrayloom {

class Events {
  public:
    void enable(bool on) { on_ = on; }
    void clear() {
        segments_.clear();
        open_ = false;
    }

    // Called first in a cycle, so that the statistics include everything before it.
    void sample(const Pins& pins, const Statistics& statistics) {
        if (!on_) [[likely]] return;
        if (!pins.EVENTS(running)) return;
        const uint32_t causes = pins.EVENTS(causes), retired = pins.EVENTS(retired);
        if (!open_ || segments_.back().causes != causes || segments_.back().cycles == UINT32_MAX) begin(causes, statistics);
        ++segments_.back().cycles;
        segments_.back().retired = retired;
        open_ = !retired;
    }

    // The segments so far, the last one with the statistics up to now.
    const std::vector<Segment>& segments(const Statistics& statistics) {
        end(statistics);
        return segments_;
    }

  private:
    void begin(uint32_t causes, const Statistics& statistics) {
        end(statistics);
        segments_.push_back({0, causes, 0, 0, 0});
    }
    void end(const Statistics& statistics) {
        if (!segments_.empty()) {
            segments_.back().words_read += static_cast<uint32_t>(statistics.read_beats - read_);
            segments_.back().words_written += static_cast<uint32_t>(statistics.write_beats - written_);
        }
        read_ = statistics.read_beats;
        written_ = statistics.write_beats;
    }

    bool on_ = false;
    bool open_ = false;  // the last segment may continue
    uint64_t read_ = 0, written_ = 0;
    std::vector<Segment> segments_;
};

}  // namespace arrayloom
