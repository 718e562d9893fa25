// One accelerator, its memory, and the clock that runs both.
#pragma once

#include <string>

#include "control.h"
#include "events.h"
#include "memory.h"
#include "model.h"
#include "outputs.h"
#include "read_channel.h"
#include "recorder.h"
#include "settings.h"
#include "watch.h"
#include "write_channel.h"

namespace arrayloom {

class Simulation {
  public:
    Simulation(uint8_t* bytes, uint64_t size, uint64_t base, uint64_t seed);

    // False when bursts are in flight.
    bool configure(const Timing& timing);
    void reset(uint32_t cycles);
    // Resets the core only; the memory continues outstanding bursts.
    void reset_core(uint32_t cycles);
    // The memory commits a violation once, at the first suitable beat or response after `wait` others.
    void plan(Breach breach, uint64_t wait);
    Stop run(uint64_t max_cycles, bool until_irq);

    // One access over AXI4-Lite. False if the accelerator does not answer within kRegisterTimeout cycles.
    bool write_register(uint32_t address, uint32_t value, uint32_t& response);
    bool read_register(uint32_t address, uint32_t& value, uint32_t& response);

#if VM_COVERAGE
    const uint64_t* burst_kinds(bool write) const { return write ? write_.burst_kinds() : read_.burst_kinds(); }
#endif

    // The model's output and the reason of a stop.
    void print(const char* text) { printed_ += text; }
    void stop(const std::string& reason);

    Memory memory;
    Model model;
    Recorder recorder;
    Events events;
    Control control;
    Statistics statistics{};
    Watch watch;
    uint64_t cycle = 0;

  private:
    static constexpr uint32_t kRegisterTimeout = 10000;

    // One clock cycle. Inputs change after the edge, those of AXI4-Lite by `drive` (Registers). No AXI output of the
    // accelerator may depend on them before the next edge (AXI4 forbids such paths), so a fast build need not evaluate
    // them. With islands, an input is a register of the model, set at the edge to the value driven before it.
    template <bool Registers, typename Drive>
    void step(Drive drive);
    // Runs `body` with Verilator's hooks set to this simulation.
    template <typename Body>
    void guard(Body body);

    Pins& pins_;
    ReadChannel read_;
    WriteChannel write_;
    std::string printed_;
};

}  // namespace arrayloom
