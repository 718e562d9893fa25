// The model's pins, by the names they have in Verilog, and the width of its bus.
#pragma once

#include "Vtop.h"
#include "Vtop___024root.h"

#ifndef ARRAYLOOM_WORD_BYTES
#error "ARRAYLOOM_WORD_BYTES: bytes in one beat of the memory bus"
#endif

namespace arrayloom {

// Verilator's class for the top: its members are the pins themselves, without the references of the public class.
using Pins = Vtop___024root;

constexpr uint32_t kWordBytes = ARRAYLOOM_WORD_BYTES;
constexpr uint32_t kStrobeBytes = (kWordBytes + 7) / 8;

}  // namespace arrayloom

// Verilator writes the second of two underscores in a row as ___05F.
#define AXI(name) axi___05F##name
#define AXIL(name) axil___05F##name
#define TRACE(name) trace___05F##name
#define EVENTS(name) events___05F##name
