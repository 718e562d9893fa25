// The bytes of the memory on the bus, and the addresses that answer with an error.
#pragma once

#include <cstdint>
#include <vector>

namespace arrayloom {

enum Response : uint8_t { kOkay = 0, kSlaveError = 2, kDecodeError = 3 };

class Memory {
  public:
    Memory(uint8_t* bytes, uint64_t size, uint64_t base) : bytes_(bytes), size_(size), base_(base) {}

    // The response to one beat of `count` bytes at `address`.
    Response response(uint64_t address, uint64_t count) const {
        if (address < base_ || address - base_ + count > size_) return kDecodeError;
        for (const Fault& fault : faults_) {
            if (address < fault.end && address + count > fault.begin) return kSlaveError;
        }
        return kOkay;
    }

    // Only for an address whose response is kOkay.
    uint8_t* at(uint64_t address) { return bytes_ + (address - base_); }

    void add_fault(uint64_t begin, uint64_t end) { faults_.push_back({begin, end}); }
    void clear_faults() { faults_.clear(); }

  private:
    struct Fault {
        uint64_t begin, end;
    };
    uint8_t* bytes_;
    uint64_t size_, base_;
    std::vector<Fault> faults_;
};

}  // namespace arrayloom
