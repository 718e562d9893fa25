// A copy of the accelerator's bus outputs, so that a checked build can detect whether an input changes them within a cycle.
#pragma once

#include <cstring>

#include "pins.h"

namespace arrayloom {

class Outputs {
  public:
    explicit Outputs(const Pins& pins)
        : bits_{pins.irq, pins.AXI(arvalid), pins.AXI(rready), pins.AXI(awvalid), pins.AXI(wvalid), pins.AXI(wlast),
                pins.AXI(bready), pins.AXI(arlen), pins.AXI(awlen), pins.TRACE(valid)},
          read_address_(pins.AXI(araddr)), write_address_(pins.AXI(awaddr)) {
        std::memcpy(data_, &pins.AXI(wdata), kWordBytes);
    }

    // The first output that differs, or null.
    const char* difference(const Outputs& other) const {
        static constexpr const char* kNames[] = {"irq",        "axi__arvalid", "axi__rready", "axi__awvalid", "axi__wvalid",
                                                 "axi__wlast", "axi__bready",  "axi__arlen",  "axi__awlen",   "trace__valid"};
        for (size_t index = 0; index < sizeof bits_; ++index) {
            if (bits_[index] != other.bits_[index]) return kNames[index];
        }
        if (read_address_ != other.read_address_) return "axi__araddr";
        if (write_address_ != other.write_address_) return "axi__awaddr";
        return std::memcmp(data_, other.data_, kWordBytes) ? "axi__wdata" : nullptr;
    }

  private:
    uint8_t bits_[10];
    uint64_t read_address_, write_address_;
    uint8_t data_[kWordBytes];
};

}  // namespace arrayloom
