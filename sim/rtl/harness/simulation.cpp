#include "simulation.h"

#include <cstdarg>
#include <cstdio>
#include <stdexcept>

#include "hooks.h"

namespace arrayloom {
namespace {

// The simulation being stepped: Verilator's hooks carry no pointer of ours.
thread_local Simulation* current = nullptr;

}  // namespace

Simulation::Simulation(uint8_t* bytes, uint64_t size, uint64_t base, uint64_t seed)
    : memory(bytes, size, base), model(seed), pins_(model.pins()), read_(memory), write_(memory) {}

bool Simulation::configure(const Timing& timing) {
    if (!read_.idle() || !write_.idle()) return false;
    read_.configure(timing);
    write_.configure(timing);
    return true;
}

template <typename Body>
void Simulation::guard(Body body) {
    current = this;
    try {
        body();
    } catch (const std::runtime_error& error) {
        watch.fail(cycle, error.what());
    }
    std::fputs(printed_.c_str(), stderr);
    printed_.clear();
}

void Simulation::reset(uint32_t cycles) {
    watch.clear();
    read_.reset(pins_);
    write_.reset(pins_);
    pins_.AXIL(awvalid) = pins_.AXIL(wvalid) = pins_.AXIL(bready) = pins_.AXIL(arvalid) = pins_.AXIL(rready) = 0;
    pins_.core_reset = 0;
    pins_.rst = 1;
    guard([&] {
#if ARRAYLOOM_ISLANDS
        model.take_inputs();    // otherwise the first cycle of reset would have no effect: each input has a register
#endif
        for (uint32_t index = 0; index < cycles; ++index) {
#if ARRAYLOOM_ISLANDS
            if (index + 1 == cycles) pins_.rst = 0;
#endif
            model.edge(cycle, kAllInputs);
            model.settle(cycle++);
        }
    });
    if (pins_.AXI(arvalid) || pins_.AXI(awvalid) || pins_.AXI(wvalid)) watch.fail(cycle, "a valid of the AXI master is up in reset");
    pins_.rst = 0;
}

template <bool Registers, typename Drive>
inline void Simulation::step(Drive drive) {
    events.sample(pins_, statistics);
    control.sample(pins_, cycle, read_, write_);
    read_.sample(pins_, cycle, statistics, watch);
    write_.sample(pins_, cycle, statistics, watch);
    recorder.sample(pins_);
#if ARRAYLOOM_ISLANDS
    uint64_t inputs = Registers ? kOtherInputs : 0;
    ++cycle;
    if (read_.drive(pins_, cycle)) inputs |= kReadInputs;
    if (write_.drive(pins_, cycle)) inputs |= kWriteInputs;
    drive();
    model.edge(cycle - 1, inputs);
#else
    model.edge(cycle, kAllInputs);
    ++cycle;
#if !ARRAYLOOM_BOTH_EDGES
    const Outputs before(pins_);
#endif
    read_.drive(pins_, cycle);
    write_.drive(pins_, cycle);
    drive();
    if (Registers || !ARRAYLOOM_BOTH_EDGES) model.settle(cycle - 1);
#if !ARRAYLOOM_BOTH_EDGES
    if (const char* name = before.difference(Outputs(pins_))) {
        watch.fail(cycle, std::string(name) + " depends on a bus input within the cycle; AXI4 forbids such a path");
    }
#endif
#endif
}

void Simulation::reset_core(uint32_t cycles) {
    guard([&] {
        step<true>([&] { pins_.core_reset = 1; });
        for (uint32_t index = 1; index < cycles; ++index) step<true>([] {});
        step<true>([&] { pins_.core_reset = 0; });
    });
}

void Simulation::plan(Breach breach, uint64_t wait) {
    read_.culprit.plan(breach, wait);
    write_.culprit.plan(breach, wait);
}

Stop Simulation::run(uint64_t max_cycles, bool until_irq) {
    const uint64_t end = cycle + max_cycles;
    guard([&] {
        while (cycle < end && !watch.failed() && !(until_irq && pins_.irq)) step<false>([] {});
    });
    if (watch.failed()) return Stop::Failed;
    return until_irq && pins_.irq ? Stop::Irq : Stop::Limit;
}

bool Simulation::write_register(uint32_t address, uint32_t value, uint32_t& response) {
    bool answered = false;
    guard([&] {
        step<true>([&] {
            pins_.AXIL(awaddr) = address;
            pins_.AXIL(wdata) = value;
            pins_.AXIL(wstrb) = 0xF;
            pins_.AXIL(awvalid) = pins_.AXIL(wvalid) = pins_.AXIL(bready) = 1;
        });
        for (uint32_t wait = 0; wait < kRegisterTimeout && !answered && !watch.failed(); ++wait) {
            const bool address_left = pins_.AXIL(awvalid) && !pins_.AXIL(awready);
            const bool data_left = pins_.AXIL(wvalid) && !pins_.AXIL(wready);
            answered = pins_.AXIL(bvalid);
            response = pins_.AXIL(bresp);
            step<true>([&] {
                pins_.AXIL(awvalid) = address_left;
                pins_.AXIL(wvalid) = data_left;
                pins_.AXIL(bready) = !answered;
            });
        }
    });
    return answered;
}

bool Simulation::read_register(uint32_t address, uint32_t& value, uint32_t& response) {
    bool answered = false;
    guard([&] {
        step<true>([&] {
            pins_.AXIL(araddr) = address;
            pins_.AXIL(arvalid) = pins_.AXIL(rready) = 1;
        });
        for (uint32_t wait = 0; wait < kRegisterTimeout && !answered && !watch.failed(); ++wait) {
            const bool address_left = pins_.AXIL(arvalid) && !pins_.AXIL(arready);
            answered = pins_.AXIL(rvalid);
            value = pins_.AXIL(rdata);
            response = pins_.AXIL(rresp);
            step<true>([&] {
                pins_.AXIL(arvalid) = address_left;
                pins_.AXIL(rready) = !answered;
            });
        }
    });
    return answered;
}

void Simulation::stop(const std::string& reason) {
    watch.fail(cycle, printed_.empty() ? reason : printed_ + " (" + reason + ")");
    printed_.clear();
}

// Verilator's hooks end here; messages of the model outside a simulation go to stderr.
void model_stopped(const std::string& reason) {
    if (current) {
        current->stop(reason);
    } else {
        std::fprintf(stderr, "%s\n", reason.c_str());
    }
}

void model_printed(const char* text) {
    if (current) {
        current->print(text);
    } else {
        std::fputs(text, stderr);
    }
}

}  // namespace arrayloom

extern "C" int arrayloom_print(const char* format, ...) {
    char text[4096];
    va_list arguments;
    va_start(arguments, format);
    const int length = std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    arrayloom::model_printed(text);
    return length;
}

static std::string place(const char* file, int line) { return std::string(file) + ":" + std::to_string(line); }

void vl_stop(const char* file, int line, const char*) VL_MT_UNSAFE { arrayloom::model_stopped("stopped at " + place(file, line)); }

void vl_finish(const char* file, int line, const char*) VL_MT_UNSAFE { arrayloom::model_stopped("finished at " + place(file, line)); }

// Thrown, because Verilator's loops do not end after a fatal error; caught in Simulation::guard.
void vl_fatal(const char* file, int line, const char*, const char* message) VL_MT_UNSAFE {
    throw std::runtime_error(std::string(message) + " at " + place(file, line));
}

void vl_warn(const char* file, int line, const char*, const char* message) VL_MT_UNSAFE {
    arrayloom::model_printed((place(file, line) + ": " + message + "\n").c_str());
}
