// The simulated system as a program. Its arguments are the plain memory's latency, outstanding bursts and cycles from
// beat to beat; a system with SDRAM ignores them. It prints the TCP port of its host stream and runs until its standard
// input ends.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>

#include "bridge.h"
#include "pins.h"
#include "settings.h"
#include "verilated.h"

#if ARRAYLOOM_PLAIN_MEMORY
#include "plain_memory.h"
#endif

namespace arrayloom {
namespace {

constexpr uint64_t kResetCycles = 16;
constexpr uint64_t kExchangeCycles = 64;    // between looks at the socket
constexpr uint64_t kQuietCycles = 4096;     // without a byte and without a run, after which time stands still
constexpr int kQuietMilliseconds = 20;

class System {
  public:
    explicit System([[maybe_unused]] const Timing& timing)
        : top_(&context_)
#if ARRAYLOOM_PLAIN_MEMORY
          , memory_(pins_, timing)
#endif
    {
        pins_.sys_rst = 1;
        for (uint64_t index = 0; index < kResetCycles; ++index) cycle();
        pins_.sys_rst = 0;
    }
    ~System() { top_.final(); }

    void run() {
        std::printf("%u\n", bridge_.port());
        std::fflush(stdout);
        uint64_t last_byte = 0;
        while (true) {
            const bool quiet = !pins_.running && now_ - last_byte > kQuietCycles;
            if (!bridge_.exchange(quiet ? kQuietMilliseconds : 0)) return;
            if (quiet && !bridge_.pending()) continue;
            for (uint64_t index = 0; index < kExchangeCycles; ++index) {
                if (cycle()) last_byte = now_;
            }
#if ARRAYLOOM_PLAIN_MEMORY
            if (memory_.watch().failed()) throw std::runtime_error(memory_.watch().text());
#endif
        }
    }

  private:
    // One clock cycle. True if a byte was transferred in either direction.
    bool cycle() {
        const bool in = pins_.host_sink_valid && pins_.host_sink_ready;
        const bool out = pins_.host_source_valid && pins_.host_source_ready;
        if (in) bridge_.pop();
        if (out) bridge_.push(pins_.host_source_data);
#if ARRAYLOOM_PLAIN_MEMORY
        memory_.sample(now_);
#endif
        pins_.sys_clk = 1;
        top_.eval();
        ++now_;
        pins_.host_sink_valid = bridge_.pending();
        if (bridge_.pending()) pins_.host_sink_data = bridge_.front();
        pins_.host_source_ready = 1;
#if ARRAYLOOM_PLAIN_MEMORY
        memory_.drive(now_);
#endif
        pins_.sys_clk = 0;
        top_.eval();
        return in || out;
    }

    VerilatedContext context_;
    Vtop top_;
    Pins& pins_ = *top_.rootp;
    Bridge bridge_;
    uint64_t now_ = 0;
#if ARRAYLOOM_PLAIN_MEMORY
    PlainMemory memory_;
#endif
};

}  // namespace
}  // namespace arrayloom

int main(int count, char** values) {
    const auto number = [&](int index) { return count > index ? static_cast<uint32_t>(std::strtoul(values[index], nullptr, 10)) : 1; };
    try {
        const arrayloom::Timing timing{number(1), number(2), number(3), 0, 0};
        std::make_unique<arrayloom::System>(timing)->run();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
    return 0;
}
