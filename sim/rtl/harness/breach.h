// One violation of the bus protocol by the memory, to test the accelerator's reaction.
#pragma once

#include <cstdint>

namespace arrayloom {

// In the order of Breach in sim/rtl/memory.py.
enum class Breach : uint32_t {
    kNone, kEarlyLast, kMissingLast, kStrangeRead, kDoubledBeat, kLostBeat, kStrangeAnswer, kDoubledAnswer, kLostAnswer
};

// A violation that is committed once, at the first suitable place after `wait` others.
class Culprit {
  public:
    void plan(Breach breach, uint64_t wait) {
        breach_ = breach;
        wait_ = wait;
    }
    bool planned() const { return breach_ != Breach::kNone; }
    // At a place suitable for `breach`: whether it is committed here.
    bool commits(Breach breach) {
        if (breach != breach_ || wait_--) return false;
        breach_ = Breach::kNone;
        return true;
    }

  private:
    Breach breach_ = Breach::kNone;
    uint64_t wait_ = 0;
};

}  // namespace arrayloom
