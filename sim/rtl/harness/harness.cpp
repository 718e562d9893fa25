// The C interface that sim/rtl/library.py binds. Every function takes the simulation returned by arrayloom_create.
#include "scratchpad_banks.h"
#include "settings.h"
#include "simulation.h"

using arrayloom::Simulation;

// Only these functions are visible outside the library.
#pragma GCC visibility push(default)
extern "C" {

uint32_t arrayloom_word_bytes() { return arrayloom::kWordBytes; }

Simulation* arrayloom_create(uint8_t* bytes, uint64_t size, uint64_t base, uint64_t seed) {
    return new Simulation(bytes, size, base, seed);
}

void arrayloom_destroy(Simulation* simulation) { delete simulation; }

int32_t arrayloom_configure(Simulation* simulation, const arrayloom::Timing* timing) { return simulation->configure(*timing); }

void arrayloom_add_fault(Simulation* simulation, uint64_t begin, uint64_t end) { simulation->memory.add_fault(begin, end); }

void arrayloom_clear_faults(Simulation* simulation) { simulation->memory.clear_faults(); }

void arrayloom_reset(Simulation* simulation, uint32_t cycles) { simulation->reset(cycles); }
void arrayloom_plan(Simulation* simulation, uint32_t breach, uint64_t wait) {
    simulation->plan(static_cast<arrayloom::Breach>(breach), wait);
}
void arrayloom_reset_core(Simulation* simulation, uint32_t cycles) { simulation->reset_core(cycles); }

int32_t arrayloom_run(Simulation* simulation, uint64_t max_cycles, int32_t until_irq) {
    return static_cast<int32_t>(simulation->run(max_cycles, until_irq));
}

int32_t arrayloom_write_register(Simulation* simulation, uint32_t address, uint32_t value, uint32_t* response) {
    return simulation->write_register(address, value, *response);
}

int32_t arrayloom_read_register(Simulation* simulation, uint32_t address, uint32_t* value, uint32_t* response) {
    return simulation->read_register(address, *value, *response);
}

uint64_t arrayloom_cycles(const Simulation* simulation) { return simulation->cycle; }

int32_t arrayloom_irq(Simulation* simulation) { return simulation->model.pins().irq; }

// The text of the first failure since the last reset, or null.
const char* arrayloom_failure(const Simulation* simulation) { return simulation->watch.failed() ? simulation->watch.text() : nullptr; }

void arrayloom_statistics(const Simulation* simulation, arrayloom::Statistics* statistics) { *statistics = simulation->statistics; }

void arrayloom_record(Simulation* simulation, int32_t on) { simulation->recorder.enable(on); }

void arrayloom_clear_record(Simulation* simulation) { simulation->recorder.clear(); }

// The arrays are valid until the next run, reset or clear.
uint64_t arrayloom_recorded(const Simulation* simulation, const uint32_t** addresses, const uint8_t** data) {
    *addresses = simulation->recorder.addresses();
    *data = simulation->recorder.data();
    return simulation->recorder.count();
}

void arrayloom_record_events(Simulation* simulation, int32_t on) { simulation->events.enable(on); }

void arrayloom_clear_events(Simulation* simulation) { simulation->events.clear(); }

// As for arrayloom_recorded.
uint64_t arrayloom_events(Simulation* simulation, const arrayloom::Segment** segments) {
    const auto& all = simulation->events.segments(simulation->statistics);
    *segments = all.data();
    return all.size();
}

int32_t arrayloom_has_control() { return arrayloom::kHasControl; }

void arrayloom_record_control(Simulation* simulation, int32_t on) { simulation->control.enable(on); }

void arrayloom_clear_control(Simulation* simulation) { simulation->control.clear(); }

// As for arrayloom_recorded.
uint64_t arrayloom_control(const Simulation* simulation, const arrayloom::Point** points) {
    *points = simulation->control.points().data();
    return simulation->control.points().size();
}

int32_t arrayloom_running(Simulation* simulation) { return simulation->model.pins().EVENTS(running); }

// The banks of the scratchpad; none in a design without.
uint32_t arrayloom_banks() { return arrayloom::kBanks; }

uint32_t arrayloom_bank_words() { return arrayloom::kBankWords; }

uint8_t* arrayloom_bank(Simulation* simulation, uint32_t index) { return arrayloom::banks(simulation->model.pins())[index]; }

#if ARRAYLOOM_ACTIVITY
// The output `activity` (sim/rtl/islands/activity.py), valid until the simulation continues; returns its size.
uint64_t arrayloom_activity(Simulation* simulation, const uint8_t** bits) {
    simulation->model.settle(simulation->cycle);    // the bus has changed since the last edge
    const auto& activity = simulation->model.pins().activity;
    *bits = reinterpret_cast<const uint8_t*>(&activity);
    return sizeof activity;
}
#endif

#if ARRAYLOOM_MUTANTS
// Selects the planted fault, by number, that is active from the edge after next on; 0 for none.
void arrayloom_select_mutant(Simulation* simulation, uint32_t number) { simulation->model.pins().mutant_select = number; }
#endif

#if defined(ARRAYLOOM_PROFILE)
// Makes GCC's run time write its counts now instead of at the end of the process.
void __gcov_dump();

void arrayloom_dump_profile() { __gcov_dump(); }
#endif

#if VM_COVERAGE
// Verilator's counts, one per point (returns their number); its file of them; and the number
// of bursts of each kind.
uint64_t arrayloom_coverage(Simulation* simulation, uint32_t** counts) { return simulation->model.coverage(*counts); }

void arrayloom_write_coverage(Simulation* simulation, const char* path) { simulation->model.write_coverage(path); }

const uint64_t* arrayloom_burst_kinds(const Simulation* simulation, int32_t write) { return simulation->burst_kinds(write); }
#endif

#if VM_TRACE
int32_t arrayloom_open_waves(Simulation* simulation, const char* path, uint64_t first, uint64_t last) {
    return simulation->model.waves().open(simulation->model.top(), path, first, last);
}

void arrayloom_close_waves(Simulation* simulation) { simulation->model.waves().close(); }

int32_t arrayloom_recording_waves(Simulation* simulation) { return simulation->model.waves().recording(); }
#endif

}  // extern "C"
#pragma GCC visibility pop
