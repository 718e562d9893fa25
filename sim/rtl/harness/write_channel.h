// The memory's side of AW, W and B: takes bursts, stores them, answers in order.
//
// Data reaches memory only with the response, the latest time that AXI allows, to expose a design that does not wait for the
// response is found out.
#pragma once

#include <array>
#include <cstring>
#include <vector>

#include "address_channel.h"
#include "breach.h"
#include "memory.h"
#include "pace.h"

namespace arrayloom {

class WriteChannel {
  public:
    explicit WriteChannel(Memory& memory) : memory_(memory) {}

    void configure(const Timing& timing) {
        pace_.configure(timing, 2);
        beats_.resize(size_t{timing.outstanding} * kMaxBeats);
    }
    bool idle() const { return bursts_.empty(); }

    Culprit culprit;

    void reset(Pins& pins) {
        bursts_.reset();
        complete_ = 0;
        data_waiting_ = answering_ = doubled_ = false;
        culprit = {};
        next_beat_ = 0;
        pins.AXI(awready) = pins.AXI(wready) = pins.AXI(bvalid) = 0;
    }

    // Before the clock edge: reads the accelerator's outputs in cycle `now`.
    void sample(const Pins& pins, uint64_t now, Statistics& statistics, Watch& watch) {
        if (!bursts_.empty()) {
            ++statistics.write_busy_cycles;
            if (answering_ && pins.AXI(bready)) {
                answering_ = false;
                if (doubled_) [[unlikely]] {
                    doubled_ = false;
                } else {
                    finish_burst();
                }
            }
        }
        if (pins.AXI(wvalid) || data_waiting_) sample_data(pins, now, statistics, watch);
        if (pins.AXI(awvalid) || bursts_.waiting()) [[unlikely]] {
            const Address request{pins.AXI(awaddr), pins.AXI(awid), pins.AXI(awlen), pins.AXI(awsize), pins.AXI(awburst)};
            statistics.write_bursts += bursts_.sample(request, pins.AXI(awvalid), pins.AXI(awready), now, 0, watch);
        }
    }

    // After the clock edge: drives the memory's outputs in cycle `now`. True if a pin may have changed.
    bool drive(Pins& pins, uint64_t now) {
        const bool address = bursts_.count() < pace_.outstanding() && !pace_.stall();
        const bool data = complete_ < bursts_.count() && now >= next_beat_ && !pace_.stall();
        bool changed = address != pins.AXI(awready) || data != pins.AXI(wready);
        pins.AXI(awready) = address;
        pins.AXI(wready) = data;
        if (answering_) return changed;
        answering_ = complete_ && now >= bursts_.front().due && !pace_.stall();
        changed |= answering_ || pins.AXI(bvalid);
        pins.AXI(bvalid) = answering_;
        if (!answering_) return changed;
        pins.AXI(bid) = bursts_.front().id;
        pins.AXI(bresp) = commit(bursts_.front());
        if (culprit.planned()) [[unlikely]] breach(pins);
        return true;
    }

    // As for the read channel; written data does not affect timing.
    void add_to(Digest& digest, const Pins& pins, uint64_t now) const {
        pace_.add_to(digest);
        bursts_.add_to(digest, now);
        digest.add(next_beat_ > now ? next_beat_ - now : 0);
        digest.add(uint64_t{complete_} << 3 | uint64_t{answering_} << 2 | pins.AXI(awready) << 1 | pins.AXI(wready));
        if (answering_) digest.add(pins.AXI(bresp));
    }

#if VM_COVERAGE
    const uint64_t* burst_kinds() const { return &bursts_.kinds.counts[0][0][0][0]; }
#endif

  private:
    static constexpr uint32_t kMaxBeats = 256;

    static constexpr std::array<uint8_t, kStrobeBytes> kAllLanes = [] {
        std::array<uint8_t, kStrobeBytes> strobe{};
        for (uint32_t lane = 0; lane < kWordBytes; ++lane) strobe[lane / 8] |= 1 << lane % 8;
        return strobe;
    }();

    static constexpr uint8_t kStrangeId = 3;    // of no burst

    void finish_burst() {
        --complete_;
        bursts_.pop();
    }

    // The violation in the given response, if any.
    void breach(Pins& pins) {
        if (culprit.commits(Breach::kStrangeAnswer)) pins.AXI(bid) = kStrangeId;
        if (culprit.commits(Breach::kDoubledAnswer)) doubled_ = true;
        if (culprit.commits(Breach::kLostAnswer)) {
            finish_burst();
            answering_ = pins.AXI(bvalid) = false;
        }
    }

    struct Beat {
        uint8_t data[kWordBytes];
        uint8_t strobe[kStrobeBytes];
    };

    void sample_data(const Pins& pins, uint64_t now, Statistics& statistics, Watch& watch) {
        if (data_waiting_ && !pins.AXI(wvalid)) watch.fail(now, "W channel: valid was withdrawn before ready");
        if (data_waiting_ && pins.AXI(wvalid) && changed(pins)) watch.fail(now, "W channel: payload changed before ready");
        const bool taken = pins.AXI(wvalid) && pins.AXI(wready);
        data_waiting_ = pins.AXI(wvalid) && !taken;
        Beat& beat = taken ? beat_of(bursts_[complete_], bursts_[complete_].done) : offered_;
        std::memcpy(beat.data, &pins.AXI(wdata), kWordBytes);
        std::memcpy(beat.strobe, &pins.AXI(wstrb), kStrobeBytes);
        if (!taken) return;
        ++statistics.write_beats;
        next_beat_ = now + pace_.beat_interval();
        finish_beat(bursts_[complete_], pins.AXI(wlast), now, watch);
    }

    bool changed(const Pins& pins) const {
        return std::memcmp(&pins.AXI(wdata), offered_.data, kWordBytes) || std::memcmp(&pins.AXI(wstrb), offered_.strobe, kStrobeBytes);
    }

    void finish_beat(Burst& burst, bool last, uint64_t now, Watch& watch) {
        const bool expected = ++burst.done == burst.beats;
        if (last != expected) {
            char text[128];
            std::snprintf(text, sizeof text, "W channel: last is %d on beat %u of %u (burst at address 0x%llx)", last, burst.done,
                          burst.beats, static_cast<unsigned long long>(burst.address));
            watch.fail(now, text);
        }
        if (!expected) return;
        burst.due = now + pace_.latency();
        ++complete_;
    }

    Response commit(const Burst& burst) {
        Response worst = kOkay;
        for (uint32_t index = 0; index < burst.beats; ++index) {
            const uint64_t address = burst.address + uint64_t{index} * kWordBytes;
            const Response response = memory_.response(address, kWordBytes);
            if (response > worst) worst = response;
            if (response == kOkay) store(memory_.at(address), beat_of(burst, index));
        }
        return worst;
    }

    static void store(uint8_t* target, const Beat& beat) {
        if (std::memcmp(beat.strobe, kAllLanes.data(), kStrobeBytes) == 0) [[likely]] {
            std::memcpy(target, beat.data, kWordBytes);
            return;
        }
        for (uint32_t lane = 0; lane < kWordBytes; ++lane) {
            if (beat.strobe[lane / 8] >> (lane % 8) & 1) target[lane] = beat.data[lane];
        }
    }

    Beat& beat_of(const Burst& burst, uint32_t index) { return beats_[burst.slot % pace_.outstanding() * kMaxBeats + index]; }

    Memory& memory_;
    Pace pace_;
    AddressChannel bursts_{"AW"};
    std::vector<Beat> beats_;
    uint32_t complete_ = 0;  // bursts at the front of the queue whose data has all come
    uint64_t next_beat_ = 0;
    bool answering_ = false;     // a response stands on the B channel
    bool doubled_ = false;       // it comes once more
    bool data_waiting_ = false;  // a beat was refused in the last cycle
    Beat offered_{};
};

}  // namespace arrayloom
