// A window of waveforms, in a build that was made for it.
#pragma once

#include <cstdint>

#include "Vtop.h"

#if VM_TRACE
#include <memory>
#include <optional>

#if VM_TRACE_FST
#include "verilated_fst_c.h"
#else
#include "verilated_vcd_c.h"
#endif
#endif

namespace arrayloom {

#if VM_TRACE

class Waves {
  public:
    // Records cycles `first` to `last` of the next run: cycle 0 is the first in which the design reports that it runs, and
    // a cycle begins with its rising edge. Times in the file are half cycles. False if the file cannot be written.
    bool open(Vtop& top, const char* path, uint64_t first, uint64_t last) {
        close();
        file_ = std::make_unique<File>();
        top.trace(file_.get(), 99);
        file_->open(path);
        origin_.reset();
        first_ = 2 * first;
        end_ = 2 * last + 1;
        return file_->isOpen();
    }
    bool recording() const { return file_ != nullptr; }

    void close() {
        if (file_) file_->close();
        file_.reset();
    }

    void dump(uint64_t half_cycle, bool running) {
        if (!file_) return;
        if (!origin_) {
            if (!running) return;
            origin_ = half_cycle;
        }
        const uint64_t time = half_cycle - *origin_;
        if (time < first_) return;
        if (time <= end_) file_->dump(time);
        if (time >= end_) close();
    }

  private:
#if VM_TRACE_FST
    using File = VerilatedFstC;
#else
    using File = VerilatedVcdC;
#endif

    std::unique_ptr<File> file_;
    std::optional<uint64_t> origin_;
    uint64_t first_ = 0, end_ = 0;
};

#else

class Waves {
  public:
    void dump(uint64_t, bool) {}
    void close() {}
};

#endif

}  // namespace arrayloom
