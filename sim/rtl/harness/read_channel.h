// The memory's side of AR and R: accepts bursts, answers them in order.
#pragma once

#include <cstring>

#include "address_channel.h"
#include "breach.h"
#include "memory.h"
#include "pace.h"

namespace arrayloom {

class ReadChannel {
  public:
    explicit ReadChannel(Memory& memory) : memory_(memory) {}

    void configure(const Timing& timing) { pace_.configure(timing, 1); }
    bool idle() const { return bursts_.empty(); }

    Culprit culprit;

    void reset(Pins& pins) {
        bursts_.reset();
        presented_ = doubled_ = false;
        culprit = {};
        next_beat_ = 0;
        pins.AXI(arready) = pins.AXI(rvalid) = 0;
    }

    // Before the clock edge: reads the accelerator's outputs in cycle `now`.
    void sample(const Pins& pins, uint64_t now, Statistics& statistics, Watch& watch) {
        if (!bursts_.empty()) {
            ++statistics.read_busy_cycles;
            if (presented_ && pins.AXI(rready)) {
                ++statistics.read_beats;
                if (doubled_) [[unlikely]] {
                    doubled_ = false;
                } else {
                    finish_beat();
                }
                presented_ = false;
            }
        }
        if (pins.AXI(arvalid) || bursts_.waiting()) [[unlikely]] {
            const Address request{pins.AXI(araddr), pins.AXI(arid), pins.AXI(arlen), pins.AXI(arsize), pins.AXI(arburst)};
            statistics.read_bursts +=
                bursts_.sample(request, pins.AXI(arvalid), pins.AXI(arready), now, now + pace_.latency(), watch);
        }
    }

    // After the clock edge: drives the memory's outputs in cycle `now`. True if a pin may have changed.
    bool drive(Pins& pins, uint64_t now) {
        const bool ready = bursts_.count() < pace_.outstanding() && !pace_.stall();
        bool changed = ready != pins.AXI(arready);
        pins.AXI(arready) = ready;
        if (presented_) return changed;
        presented_ = !bursts_.empty() && now >= bursts_.front().due && now >= next_beat_ && !pace_.stall();
        changed |= presented_ || pins.AXI(rvalid);
        pins.AXI(rvalid) = presented_;
        if (!presented_) return changed;
        if (culprit.planned()) [[unlikely]] {
            if (culprit.commits(Breach::kLostBeat)) {
                finish_beat();
                presented_ = pins.AXI(rvalid) = false;
                return true;
            }
            present(pins, bursts_.front());
            breach(pins);
            next_beat_ = now + pace_.beat_interval();
            return true;
        }
        present(pins, bursts_.front());
        next_beat_ = now + pace_.beat_interval();
        return true;
    }

    // All state of the channel that determines its timing in cycle `now` and later.
    // Data is not included, except that of a presented word of an instruction.
    void add_to(Digest& digest, const Pins& pins, uint64_t now) const {
        pace_.add_to(digest);
        bursts_.add_to(digest, now);
        digest.add(next_beat_ > now ? next_beat_ - now : 0);
        digest.add(uint64_t{presented_} << 1 | pins.AXI(arready));
        if (!presented_) return;
        digest.add(uint64_t{pins.AXI(rid)} << 16 | pins.AXI(rresp) << 8 | pins.AXI(rlast));
        if (pins.AXI(rid) != kFetchId) return;
        uint64_t words[(kWordBytes + 7) / 8] = {};
        std::memcpy(words, &pins.AXI(rdata), kWordBytes);
        for (const uint64_t word : words) digest.add(word);
    }

#if VM_COVERAGE
    const uint64_t* burst_kinds() const { return &bursts_.kinds.counts[0][0][0][0]; }
#endif

  private:
    static constexpr uint8_t kFetchId = 0;      // FETCH_ID of hdl/axi.py
    static constexpr uint8_t kStrangeId = 3;    // of no reader

    void finish_beat() {
        if (++bursts_.front().done == bursts_.front().beats) bursts_.pop();
    }

    // The violation in the presented beat, if any.
    void breach(Pins& pins) {
        if (pins.AXI(rlast) ? culprit.commits(Breach::kMissingLast) : culprit.commits(Breach::kEarlyLast)) pins.AXI(rlast) ^= 1;
        if (culprit.commits(Breach::kStrangeRead)) pins.AXI(rid) = kStrangeId;
        if (culprit.commits(Breach::kDoubledBeat)) doubled_ = true;
    }

    void present(Pins& pins, const Burst& burst) {
        const uint64_t address = burst.address + uint64_t{burst.done} * kWordBytes;
        const Response response = memory_.response(address, kWordBytes);
        if (response == kOkay) [[likely]] {
            std::memcpy(&pins.AXI(rdata), memory_.at(address), kWordBytes);
        } else {
            std::memset(&pins.AXI(rdata), 0, kWordBytes);
        }
        pins.AXI(rid) = burst.id;
        pins.AXI(rresp) = response;
        pins.AXI(rlast) = burst.done + 1 == burst.beats;
    }

    Memory& memory_;
    Pace pace_;
    AddressChannel bursts_{"AR"};
    uint64_t next_beat_ = 0;
    bool presented_ = false;  // a beat stands on the R channel
    bool doubled_ = false;    // it comes once more
};

}  // namespace arrayloom
