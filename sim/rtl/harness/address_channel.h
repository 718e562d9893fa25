// Common parts of AR and AW: the handshake, its rules, and the queue of accepted bursts.
#pragma once

#include "burst.h"
#include "digest.h"
#include "pins.h"
#include "settings.h"
#include "watch.h"

namespace arrayloom {

class AddressChannel {
  public:
    explicit AddressChannel(const char* name) : name_(name) {}

    void reset() {
        head_ = tail_ = 0;
        waiting_ = false;
    }

    bool empty() const { return head_ == tail_; }
    uint32_t count() const { return head_ - tail_; }
    Burst& front() { return (*this)[0]; }
    Burst& operator[](uint32_t index) { return bursts_[(tail_ + index) % kMaxOutstanding]; }
    void pop() { ++tail_; }

    // An address was stalled in the last cycle, so it must be unchanged in this one.
    bool waiting() const { return waiting_; }

    // One cycle in which valid is high, or was high and stalled in the previous cycle. True if a burst was accepted.
    bool sample(const Address& request, bool valid, bool ready, uint64_t now, uint64_t due, Watch& watch) {
        if (waiting_ && !valid) watch.fail(now, describe(name_, offered_, "valid was withdrawn before ready"));
        if (waiting_ && valid && !(request == offered_)) watch.fail(now, describe(name_, offered_, "payload changed before ready"));
        offered_ = request;
        waiting_ = valid && !ready;
        if (!valid || !ready) return false;
        if (const char* rule = broken_rule(request, kWordBytes)) watch.fail(now, describe(name_, request, rule));
#if VM_COVERAGE
        kinds.count(request, kWordBytes);
#endif
        bursts_[head_ % kMaxOutstanding] = {request.address, due, request.length + 1u, 0, head_, request.id};
        ++head_;
        return true;
    }

    // The remainder of every burst; only whether a time has passed counts, not when.
    void add_to(Digest& digest, uint64_t now) const {
        digest.add(count());
        for (uint32_t index = tail_; index != head_; ++index) {
            const Burst& burst = bursts_[index % kMaxOutstanding];
            digest.add(burst.address);
            digest.add(burst.due > now ? burst.due - now : 0);
            digest.add(uint64_t{burst.beats} << 32 | burst.done << 8 | burst.id);
        }
    }

#if VM_COVERAGE
    BurstKinds kinds;
#endif

  private:
    static_assert((kMaxOutstanding & (kMaxOutstanding - 1)) == 0, "indices wrap around");

    const char* name_;
    Burst bursts_[kMaxOutstanding];
    uint32_t head_ = 0, tail_ = 0;
    bool waiting_ = false;
    Address offered_{};
};

}  // namespace arrayloom
