// The verilated model and its clock.
//
// A fast build is verilated with registers that act on both edges (ARRAYLOOM_BOTH_EDGES), so that one evaluation is one clock
// cycle. Evaluation then calls Verilator's own function for the top and skips the wrapper's locks.
#pragma once

#include <memory>
#include <string>

#include "pins.h"
#include "verilated.h"
#include "waves.h"

#if ARRAYLOOM_BOTH_EDGES
void Vtop___024root___eval(Vtop___024root* root);
#endif

namespace arrayloom {

class Model {
  public:
    explicit Model(uint64_t seed) : top_(prepare(context_, seed)) { top_.eval(); }
    ~Model() { top_.final(); }

    Pins& pins() { return *top_.rootp; }
    Waves& waves() { return waves_; }
    Vtop& top() { return top_; }

    // One rising edge: registers take the values that stood before it.
    void edge(uint64_t cycle) {
#if ARRAYLOOM_BOTH_EDGES
        (void)cycle;
        pins().clk ^= 1;
        Vtop___024root___eval(&pins());
#else
        pins().clk = 1;
        top_.eval();
        waves_.dump(2 * cycle, pins().EVENTS(running));
#endif
    }

    // Lets new inputs through the combinational logic, in the low half of the clock where there is one.
    void settle(uint64_t cycle) {
#if ARRAYLOOM_BOTH_EDGES
        (void)cycle;
        Vtop___024root___eval(&pins());
#else
        pins().clk = 0;
        top_.eval();
        waves_.dump(2 * cycle + 1, pins().EVENTS(running));
#endif
    }

  private:
    static VerilatedContext* prepare(VerilatedContext& context, uint64_t seed) {
        context.randReset(2);  // only a checked build leaves anything to it
        context.randSeed(static_cast<int>(seed % 0x7FFFFFFE) + 1);
        context.traceEverOn(VM_TRACE);
        context.fatalOnError(false);
        return &context;
    }

    VerilatedContext context_;
    Vtop top_;
    Waves waves_;
};

}  // namespace arrayloom
