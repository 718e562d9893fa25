// A second model on which the clocks of all islands fire in every cycle, and which must stay equal to the first.
//
// An island that is skipped although its state would change is detected in the first such cycle.
#pragma once

#include <cstring>
#include <stdexcept>
#include <string>

#include "awake.h"

#include "fields.h"  // of this model

namespace arrayloom {

class Twin {
  public:
    explicit Twin(VerilatedContext& context) : top_(&context, "twin") { top_.eval(); }
    ~Twin() { top_.final(); }

    // Repeats the edge that `first` has taken on its active islands, on all islands.
    void edge(const Pins& first, uint64_t cycle) {
        copy_inputs(first, *top_.rootp);
        fire(*top_.rootp, kAllIslands);
        compare(first, cycle);
    }

    void take_inputs(const Pins& first) {
        copy_inputs(first, *top_.rootp);
        fire(*top_.rootp, kAllInputs);
    }

  private:
    // Memories are compared only from time to time: a wrong write stays visible.
    static constexpr size_t kLargeField = 4096;
    static constexpr uint64_t kLargeInterval = 1000;

    void compare(const Pins& first, uint64_t cycle) const {
        const auto* ours = reinterpret_cast<const uint8_t*>(&first);
        const auto* theirs = reinterpret_cast<const uint8_t*>(top_.rootp);
        for (const Field& field : kFields) {
            if (field.size > kLargeField && cycle % kLargeInterval) continue;
            if (std::memcmp(ours + field.offset, theirs + field.offset, field.size)) [[unlikely]] {
                throw std::runtime_error(std::string(field.name) + " changed in an island that was not awake");
            }
        }
    }

    Vtop top_;
};

}  // namespace arrayloom
