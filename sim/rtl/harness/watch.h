// The first thing that went wrong in a simulation.
#pragma once

#include <cstdint>
#include <string>

namespace arrayloom {

class Watch {
  public:
    // Keeps the first failure only: what follows is a consequence.
    void fail(uint64_t cycle, const std::string& text) {
        if (failed_) return;
        failed_ = true;
        text_ = "cycle " + std::to_string(cycle) + ": " + text;
    }
    bool failed() const { return failed_; }
    const char* text() const { return text_.c_str(); }
    void clear() {
        failed_ = false;
        text_.clear();
    }

  private:
    bool failed_ = false;
    std::string text_;
};

}  // namespace arrayloom
