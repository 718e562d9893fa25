// A window of waveforms, in a build that was made for it.
#pragma once

#include <cstdint>
#include <string>

#include "Vtop.h"

#if VM_TRACE
#include <memory>

#include "verilated_vcd_c.h"
#endif

namespace weft {

#if VM_TRACE

class Waves {
  public:
    // Records clock cycles `first` to `last`; a cycle begins with its rising edge. False when the file cannot be written.
    bool open(Vtop& top, const char* path, uint64_t first, uint64_t last) {
        close();
        file_ = std::make_unique<VerilatedVcdC>();
        top.trace(file_.get(), 99);
        file_->open(path);
        first_ = 2 * first;
        end_ = 2 * last + 1;
        return file_->isOpen();
    }

    void close() {
        if (file_) file_->close();
        file_.reset();
    }

    void dump(uint64_t half_cycle) {
        if (!file_ || half_cycle < first_) return;
        if (half_cycle <= end_) {
            file_->dump(half_cycle);
        } else {
            close();
        }
    }

  private:
    std::unique_ptr<VerilatedVcdC> file_;
    uint64_t first_ = 0, end_ = 0;
};

#else

class Waves {
  public:
    void dump(uint64_t) {}
    void close() {}
};

#endif

}  // namespace weft
