// One burst on an address channel, and the rules of AXI4 (ARM IHI 0022) that its address must keep.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

namespace arrayloom {

struct Address {
    uint64_t address;
    uint8_t id, length, size, burst;

    bool operator==(const Address&) const = default;
};

struct Burst {
    uint64_t address;
    uint64_t due;    // first cycle in which the memory may answer
    uint32_t beats;  // in the burst
    uint32_t done;   // beats already moved
    uint32_t slot;   // place of its data in the write buffer
    uint8_t id;
};

inline std::string describe(const char* channel, const Address& request, const char* rule) {
    char text[256];
    std::snprintf(text, sizeof text, "%s channel: %s (address 0x%llx, len %u, size %u, burst %u, id %u)", channel, rule,
                  static_cast<unsigned long long>(request.address), request.length, request.size, request.burst, request.id);
    return text;
}

// The fault of an illegal request, or null.
inline const char* broken_rule(const Address& request, uint32_t word_bytes) {
    const uint64_t bytes = (uint64_t{request.length} + 1) * word_bytes;
    if ((1u << request.size) != word_bytes) return "size is not the width of the bus";
    if (request.burst != 1) return "burst type is not INCR";
    if (request.address % word_bytes) return "address is not aligned to a word";
    if (request.address % 4096 + bytes > 4096) return "burst crosses a 4 KiB boundary";
    return nullptr;
}

#if VM_COVERAGE
// Number of bursts of each kind: identifier, length, begins a page of 4 KiB, ends one.
struct BurstKinds {
    static constexpr uint32_t kIds = 4, kLengths = 64;    // FETCH has bursts of 256 bytes
    uint64_t counts[kIds][kLengths][2][2] = {};

    void count(const Address& request, uint32_t word_bytes) {
        const uint64_t end = request.address + (uint64_t{request.length} + 1) * word_bytes;
        if (request.length < kLengths) ++counts[request.id % kIds][request.length][request.address % 4096 == 0][end % 4096 == 0];
    }
};
#endif

}  // namespace arrayloom
