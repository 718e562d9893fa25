// A digest of 128 bits over a sequence of words: two chains, each changed by every word.
#pragma once

#include <cstdint>

namespace arrayloom {

class Digest {
  public:
    void add(uint64_t word) {
        low_ = rotated(low_ ^ word * 0x9E3779B97F4A7C15u, 31) * 0xD6E8FEB86659FD93u + 0x2545F4914F6CDD1Du;
        high_ = (rotated(high_, 27) ^ (word + 0x8CB92BA72F3D8DD7u)) * 0xC2B2AE3D27D4EB4Fu + low_;
    }
    uint64_t low() const { return mixed(low_); }
    uint64_t high() const { return mixed(high_); }

  private:
    static uint64_t rotated(uint64_t word, int bits) { return word << bits | word >> (64 - bits); }
    static uint64_t mixed(uint64_t word) {
        word = (word ^ word >> 33) * 0xFF51AFD7ED558CCDu;
        word = (word ^ word >> 33) * 0xC4CEB9FE1A85EC53u;
        return word ^ word >> 33;
    }

    uint64_t low_ = 0x243F6A8885A308D3u, high_ = 0x13198A2E03707344u;
};

}  // namespace arrayloom
