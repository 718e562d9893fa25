"""The memory bus: constants shared by the hardware, the cost model and the other end of the bus."""

from arrayloom.isa.fields import INSTRUCTION_BYTES

ADDRESS_BITS = 40   # bits in a byte address on the bus
PAGE_BYTES = 4096   # AXI4: no burst crosses such a boundary
BURST_WORDS = 16    # longest burst of LOAD and STORE; 16 of them outstanding cover a latency of 200 cycles, and FETCH never
                    # waits long for one
FETCH_BURST_BYTES = 4 * INSTRUCTION_BYTES       # longest burst of FETCH; such bursts are aligned, so none crosses a page
FETCH_BUFFER_BYTES = 4 * FETCH_BURST_BYTES      # most bytes that FETCH prefetches
