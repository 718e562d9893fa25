// The verilated model and its clock.
//
// A fast build has islands (ARRAYLOOM_ISLANDS): each has its own clock, and an edge fires the clocks of the active
// ones. Without them (ARRAYLOOM_BOTH_EDGES), registers act on both edges of one clock, so one evaluation is one cycle.
// Either way Verilator's own functions for the top are called, without the wrapper's locks.
#pragma once

#include <memory>
#include <string>

#include "pins.h"
#include "verilated.h"
#if VM_COVERAGE
#include "Vtop__Syms.h"
#include "verilated_cov.h"
#endif
#include "waves.h"

#if ARRAYLOOM_ISLANDS
#include "awake.h"
#endif
#if ARRAYLOOM_TWIN
#include "twin.h"
#endif

#if ARRAYLOOM_BOTH_EDGES
void Vtop___024root___eval(Vtop___024root* root);
#endif

namespace arrayloom {

#if !ARRAYLOOM_ISLANDS
constexpr uint64_t kAllInputs = 0;
#endif

class Model {
  public:
    explicit Model(uint64_t seed) : top_(prepare(context_, seed)) { top_.eval(); }
    ~Model() { top_.final(); }

    Pins& pins() { return *top_.rootp; }
    Waves& waves() { return waves_; }
    Vtop& top() { return top_; }

    // One rising edge: registers take the values from before it. With islands the inputs are registers too; `inputs`
    // (bits of awake.h) lists the islands of all inputs whose pins may have changed since the previous edge.
    void edge(uint64_t cycle, [[maybe_unused]] uint64_t inputs) {
#if ARRAYLOOM_ISLANDS
        (void)cycle;
        fire(pins(), islands_awake(pins()) | inputs);
#if ARRAYLOOM_TWIN
        twin_.edge(pins(), cycle);
#endif
#elif ARRAYLOOM_BOTH_EDGES
        (void)cycle;
        pins().clk ^= 1;
        Vtop___024root___eval(&pins());
#else
        pins().clk = 1;
        top_.eval();
        waves_.dump(2 * cycle, pins().EVENTS(running));
#endif
    }

#if ARRAYLOOM_ISLANDS
    // Sets only the registers of the inputs.
    void take_inputs() {
        fire(pins(), kAllInputs);
#if ARRAYLOOM_TWIN
        twin_.take_inputs(pins());
#endif
    }
#endif

    // Propagates new inputs through the combinational logic, in the low half of the clock if there is one.
    void settle(uint64_t cycle) {
#if ARRAYLOOM_ISLANDS
        (void)cycle;
#elif ARRAYLOOM_BOTH_EDGES
        (void)cycle;
        Vtop___024root___eval(&pins());
#else
        pins().clk = 0;
        top_.eval();
        waves_.dump(2 * cycle + 1, pins().EVENTS(running));
#endif
    }

#if VM_COVERAGE
    uint64_t coverage(uint32_t*& counts) {
        auto& all = top_.rootp->vlSymsp->__Vcoverage;
        counts = &all[0];
        return sizeof all / sizeof all[0];
    }
    void write_coverage(const char* path) { context_.coveragep()->write(path); }
#endif

  private:
    static VerilatedContext* prepare(VerilatedContext& context, uint64_t seed) {
        context.randReset(2);  // only a checked build needs it
        context.randSeed(static_cast<int>(seed % 0x7FFFFFFE) + 1);
        context.traceEverOn(VM_TRACE);
        context.fatalOnError(false);
        return &context;
    }

    VerilatedContext context_;
    Vtop top_;
    Waves waves_;
#if ARRAYLOOM_TWIN
    Twin twin_{context_};
#endif
};

}  // namespace arrayloom
