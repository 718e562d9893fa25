// Islands: determines which are active, and fires their clocks. islands.h, generated with the model, has their number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "pins.h"

#include "islands.h"  // of this model: it knows the pins

#if defined(__AVX2__)
#include <immintrin.h>
#endif

void Vtop___024root___eval_nba(Vtop___024root* root);

namespace arrayloom {

// Bit k of 8 bytes, each 0 or 1, as bit k of one.
inline uint64_t gather_8(const uint8_t* bytes) {
    uint64_t word;
    std::memcpy(&word, bytes, sizeof word);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word * 0x0102040810204080u >> 56;
}

// Bit k of 64 bytes, each 0 or 1, as bit k.
inline uint64_t gather_64(const uint8_t* bytes) {
#if defined(__AVX512BW__)
    return _mm512_test_epi8_mask(_mm512_loadu_si512(bytes), _mm512_set1_epi8(1));
#elif defined(__AVX2__)
    const auto half = [&](size_t offset) {
        const __m256i word = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes + offset));
        return static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_slli_epi16(word, 7)));
    };
    return half(0) | uint64_t{half(32)} << 32;
#else
    uint64_t bits = 0;
    for (unsigned index = 0; index < 8; ++index) bits |= gather_8(bytes + 8 * index) << 8 * index;
    return bits;
#endif
}

// The islands in which the next edge may change something. kFirstWake is the offset of wake_0 in the model; those of the
// other islands follow, which islands.h asserts, and enough of the model that 64 bytes can be read.
inline uint64_t islands_awake(const Pins& pins) {
    static_assert(kFirstWake + 64 <= sizeof(Pins));
    return gather_64(reinterpret_cast<const uint8_t*>(&pins) + kFirstWake) & kAllIslands;
}

// One edge of the clocks of these islands.
inline void fire(Pins& pins, uint64_t islands) {
    pins.__VnbaTriggered[0] = islands;
    Vtop___024root___eval_nba(&pins);
}

}  // namespace arrayloom
