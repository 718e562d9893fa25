// The words that the accelerator writes to its scratchpad, in order.
#pragma once

#include <vector>

#include "pins.h"

namespace arrayloom {

class Recorder {
  public:
    void enable(bool on) { on_ = on; }
    void clear() {
        addresses_.clear();
        data_.clear();
    }
    void sample(const Pins& pins) {
        if (!on_ || !pins.TRACE(valid)) [[likely]] return;
        addresses_.push_back(pins.TRACE(address));
        const auto* word = reinterpret_cast<const uint8_t*>(&pins.TRACE(data));
        data_.insert(data_.end(), word, word + kWordBytes);
    }

    uint64_t count() const { return addresses_.size(); }
    const uint32_t* addresses() const { return addresses_.data(); }
    const uint8_t* data() const { return data_.data(); }

  private:
    bool on_ = false;
    std::vector<uint32_t> addresses_;
    std::vector<uint8_t> data_;
};

}  // namespace arrayloom
