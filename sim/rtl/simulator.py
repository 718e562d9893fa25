"""The accelerator's RTL as a Python object: its memory, its registers, its clock."""

import ctypes
import enum
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from arrayloom.sim.rtl.build import Build
from arrayloom.sim.rtl.errors import SimulationError
from arrayloom.sim.rtl.library import BURST_KINDS, BYTES, POINT, SEGMENT, WORDS, StatisticsStruct, TimingStruct, load
from arrayloom.sim.rtl.memory import Breach, Statistics, Timing
from arrayloom.sim.rtl.scratchpad import Scratchpad

RESET_CYCLES = 4
CHUNK_SECONDS = 0.05
FIRST_CHUNK = 2000


class Stop(enum.Enum):
    """Why a run ended."""

    LIMIT = 0
    IRQ = 1


class RtlSimulator:
    """One simulated accelerator and its memory. A context manager; one thread at a time.

    ``memory`` is the accelerator's memory itself: uint8, one dimension, contiguous, at bus address ``base``. It is
    shared, not copied: the accelerator reads what Python writes. A write of the accelerator takes effect when the bus
    has answered it.

    Cycles are counted from 0; not even a reset sets them back. After a protocol violation or a failed assertion, every
    call raises ``SimulationError`` until ``reset``.
    """

    def __init__(self, build: Build, memory: NDArray[np.uint8], base: int = 0, timing: Timing | None = None,
                 seed: int = 0) -> None:
        """Loads the library, and resets the accelerator.

        ``seed`` is used for uninitialized values in a checked build. Raises ``SimulationError`` for a
        memory that cannot be shared and ``BuildError`` for a library that does not load.
        """
        if memory.dtype != np.uint8 or memory.ndim != 1 or not memory.flags.c_contiguous or not memory.flags.writeable:
            raise SimulationError(f"memory of dtype {memory.dtype} and shape {memory.shape}: must be uint8, of one "
                                  "dimension, contiguous and writeable")
        self.build, self.memory, self.base = build, memory, base
        self._library = load(build.library, build.variant)
        self._handle: int | None = self._library.arrayloom_create(memory.ctypes.data_as(BYTES), memory.size, base, seed)
        self.timing = timing or Timing()
        if build.mutant:
            self._library.arrayloom_select_mutant(self._handle, build.mutant)
        self.reset()

    def __enter__(self) -> "RtlSimulator":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_handle", None) is not None:
            self.close()

    def close(self) -> None:
        """Frees the model and finishes its waveforms. Any other use afterwards raises ``SimulationError``."""
        if self._handle is not None:
            if self.build.before_close is not None:
                self.build.before_close(self)
            self._library.arrayloom_destroy(self._handle)
            self._handle = None

    @property
    def _simulation(self) -> int:
        if self._handle is None:
            raise SimulationError("the simulator was closed: make a new one")
        return self._handle

    @property
    def timing(self) -> Timing:
        """Timing of the memory. Setting it while bursts are outstanding raises ``SimulationError``."""
        return self._timing

    @timing.setter
    def timing(self, timing: Timing) -> None:
        struct = TimingStruct(**asdict(timing))
        if not self._library.arrayloom_configure(self._simulation, ctypes.byref(struct)):
            raise SimulationError("the memory's timing cannot change while bursts are outstanding: reset first, or run "
                                  "until idle")
        self._timing = timing

    @property
    def cycles(self) -> int:
        """Clock cycles since the simulator was made."""
        return int(self._library.arrayloom_cycles(self._simulation))

    @property
    def irq(self) -> bool:
        """The level of the interrupt."""
        return bool(self._library.arrayloom_irq(self._simulation))

    @property
    def statistics(self) -> Statistics:
        """Traffic on the memory bus so far."""
        struct = StatisticsStruct()
        self._library.arrayloom_statistics(self._simulation, ctypes.byref(struct))
        return Statistics(*(getattr(struct, name) for name, *_ in struct._fields_))

    def reset(self, cycles: int = RESET_CYCLES) -> None:
        """Holds the accelerator and its memory in reset; bursts in flight are dropped."""
        self._library.arrayloom_reset(self._simulation, cycles)
        self._raise_failure()

    def reset_core(self, cycles: int = RESET_CYCLES) -> None:
        """Holds everything except the accelerator's bus interfaces in reset; the memory continues the bursts in flight."""
        self._library.arrayloom_reset_core(self._simulation, cycles)
        self._raise_failure()

    def plan_breach(self, breach: Breach, wait: int = 0) -> None:
        """The memory violates the bus protocol once: at the first suitable beat or response after ``wait`` others.

        A reset cancels a pending violation.
        """
        self._library.arrayloom_plan(self._simulation, breach, wait)

    def add_fault(self, address: int, size: int) -> None:
        """From now on the bus answers SLVERR for any of the ``size`` bytes at bus ``address``, without transferring data.

        Outside the memory it always answers DECERR.
        """
        self._library.arrayloom_add_fault(self._simulation, address, address + size)

    def clear_faults(self) -> None:
        """Removes all faults of ``add_fault``."""
        self._library.arrayloom_clear_faults(self._simulation)

    def write_register(self, address: int, value: int) -> None:
        """Writes 32 bits over AXI4-Lite. Raises ``SimulationError`` if the accelerator refuses or does not answer."""
        if not 0 <= value < 1 << 32:
            raise SimulationError(f"register 0x{address:03x} = {value}: must fit in 32 bits")
        response = ctypes.c_uint32()
        answered = self._library.arrayloom_write_register(self._simulation, address, value, ctypes.byref(response))
        self._check_access("write", address, bool(answered), response.value)

    def read_register(self, address: int) -> int:
        """Reads 32 bits over AXI4-Lite. Raises ``SimulationError`` if the accelerator refuses or does not answer."""
        value, response = ctypes.c_uint32(), ctypes.c_uint32()
        answered = self._library.arrayloom_read_register(self._simulation, address, ctypes.byref(value),
                                                    ctypes.byref(response))
        self._check_access("read", address, bool(answered), response.value)
        return value.value

    def run(self, max_cycles: int, progress: Callable[[int], None] | None = None, until_irq: bool = True) -> Stop:
        """Runs until the interrupt is up, or for ``max_cycles``.

        ``progress`` is called with ``cycles`` about twenty times a second. Ctrl-C and exceptions of ``progress`` end
        the run between two cycles; it can be continued later. Raises ``SimulationError`` for a protocol violation or a
        failed assertion.
        """
        end = self.cycles + max_cycles
        chunk = FIRST_CHUNK
        while True:
            begin = time.perf_counter()
            steps = min(chunk, end - self.cycles)
            reason = self._library.arrayloom_run(self._simulation, steps, until_irq)
            self._raise_failure()
            if progress is not None:
                progress(self.cycles)
            if reason == Stop.IRQ.value or self.cycles >= end:
                return Stop(reason)
            chunk = max(1, int(steps * CHUNK_SECONDS / (time.perf_counter() - begin)))

    def record(self, on: bool = True) -> None:
        """Starts or stops recording the words on the trace port."""
        self._library.arrayloom_record(self._simulation, on)

    def take_trace(self) -> tuple[NDArray[np.uint32], NDArray[np.int8]]:
        """The words recorded since the last call, in order: addresses [n], and words [n, bytes in a word]."""
        addresses, data = WORDS(), BYTES()
        count = self._library.arrayloom_recorded(self._simulation, ctypes.byref(addresses), ctypes.byref(data))
        size = self.build.word_bytes
        if not count:
            return np.zeros(0, np.uint32), np.zeros((0, size), np.int8)
        result = (np.ctypeslib.as_array(addresses, (count,)).copy(),
                  np.ctypeslib.as_array(data, (count, size)).view(np.int8).copy())
        self._library.arrayloom_clear_record(self._simulation)
        return result

    def record_events(self, on: bool = True) -> None:
        """Starts or stops recording the activity of the accelerator's blocks during a program."""
        self._library.arrayloom_record_events(self._simulation, on)

    def take_events(self) -> NDArray[np.void]:
        """The segments recorded since the last call, in order: ``arrayloom.sim.rtl.library.SEGMENT`` [n]."""
        pointer = WORDS()
        count = self._library.arrayloom_events(self._simulation, ctypes.byref(pointer))
        if not count:
            return np.zeros(0, SEGMENT)
        words = np.ctypeslib.as_array(pointer, (count * SEGMENT.itemsize // 4,))
        result = words.view(SEGMENT).copy()
        self._library.arrayloom_clear_events(self._simulation)
        return result

    def record_control(self, on: bool = True) -> None:
        """Starts or stops recording digests of the control state where the POST unit completes an instruction.

        Raises ``SimulationError`` for a build without them: another design than the accelerator, a build for waveforms, or
        one by a version of Verilator that names registers differently.
        """
        if not self._library.arrayloom_has_control():
            raise SimulationError(f"digests of the control state: this {self.build.variant.name} build has none; the "
                                  "accelerator's fast and checked builds have, where Verilator is the one of pyproject.toml")
        self._library.arrayloom_record_control(self._simulation, on)

    def take_control(self) -> NDArray[np.void]:
        """The points recorded since the last call, in order: ``arrayloom.sim.rtl.library.POINT`` [n].

        If two runs have points with the same digest, both continue identically from there, cycle for cycle,
        until the first of: its end, a register write, or a cycle in which FETCH reads memory that differs. Bytes
        read by other units may differ. A cycle in which a register is written has no point.
        """
        pointer = WORDS()
        count = self._library.arrayloom_control(self._simulation, ctypes.byref(pointer))
        if not count:
            return np.zeros(0, POINT)
        result = np.ctypeslib.as_array(pointer, (count * POINT.itemsize // 4,)).view(POINT).copy()
        self._library.arrayloom_clear_control(self._simulation)
        return result

    def read_scratchpad(self) -> NDArray[np.int8]:
        """A copy of the activations on the chip: int8[activation_words, size].

        Raises ``SimulationError`` for a design without a scratchpad.
        """
        return self._scratchpad().read()

    def write_scratchpad(self, words: NDArray[np.int8]) -> None:
        """Replaces the activations on the chip by ``words``: int8[activation_words, size].

        Raises ``SimulationError`` while a program runs, for words of another shape, and for a design without a
        scratchpad.
        """
        if self._library.arrayloom_running(self._simulation):
            raise SimulationError("the scratchpad cannot be written while a program runs: run until the interrupt, or reset")
        self._scratchpad().write(words)

    def _scratchpad(self) -> Scratchpad:
        return Scratchpad(self._library, self._simulation, self.build.word_bytes)

    def activity(self) -> NDArray[np.bool_]:
        """The activity of the registers at the next edge, in a build that reports it (``ACTIVITY``).

        [state, 2], in the order of ``arrayloom.sim.rtl.islands.activity``: whether each is enabled, and whether it changes;
        followed by up to 31 rows of False. Raises ``SimulationError`` for another build.
        """
        if not self.build.variant.activity:
            raise SimulationError(f"activity: this is a {self.build.variant.name} build; build the variant activity")
        data = BYTES()
        size = self._library.arrayloom_activity(self._simulation, ctypes.byref(data))
        bits = np.unpackbits(np.ctypeslib.as_array(data, (size,)), bitorder="little")
        return bits.astype(np.bool_).reshape(-1, 2)

    def coverage(self) -> NDArray[np.uint32]:
        """Number of executions of each point of the design since the simulator was made (variant ``COVERAGE``).

        The array is a view of the simulator's counts: writes to it change them. The points are those of ``write_coverage``,
        in an order that only the build knows.
        """
        self._require_coverage()
        counts = WORDS()
        size = self._library.arrayloom_coverage(self._simulation, ctypes.byref(counts))
        return np.ctypeslib.as_array(counts, (size,))

    def write_coverage(self, path: Path) -> None:
        """Writes the counts with what they count, in Verilator's format (variant ``COVERAGE``)."""
        self._require_coverage()
        self._library.arrayloom_write_coverage(self._simulation, str(path).encode())

    def burst_kinds(self, write: bool) -> NDArray[np.uint64]:
        """Number of read or write bursts of each kind (variant ``COVERAGE``).

        [identifier, words less one, whether it begins a page of 4 KiB, whether it ends one].
        """
        self._require_coverage()
        return np.ctypeslib.as_array(self._library.arrayloom_burst_kinds(self._simulation, write), BURST_KINDS).copy()

    def _require_coverage(self) -> None:
        if not self.build.variant.coverage:
            raise SimulationError(f"coverage: this is a {self.build.variant.name} build; build the variant coverage")

    def open_waves(self, path: Path, first: int, last: int) -> None:
        """Records cycles ``first`` to ``last`` of the next run, cycle 0 being the first that CYCLES counts.

        Times in the file are half cycles. Raises ``SimulationError`` if that is impossible.
        """
        if self.build.variant.waves is None:
            raise SimulationError(f"waveforms: this is a {self.build.variant.name} build; build one of the wave variants")
        if not 0 <= first <= last:
            raise SimulationError(f"waveforms of cycles {first} to {last}: the first must not come after the last")
        if not self._library.arrayloom_open_waves(self._simulation, str(path).encode(), first, last):
            raise SimulationError(f"{path} cannot be written: choose a file in a folder that exists and can be written")

    @property
    def recording_waves(self) -> bool:
        """Whether the window of the waveforms is yet to end."""
        return self.build.variant.waves is not None and bool(self._library.arrayloom_recording_waves(self._simulation))

    def close_waves(self) -> None:
        """Finishes the file before its last cycle."""
        if self.build.variant.waves is not None:
            self._library.arrayloom_close_waves(self._simulation)

    def _check_access(self, kind: str, address: int, answered: bool, response: int) -> None:
        self._raise_failure()
        if not answered:
            raise SimulationError(f"cycle {self.cycles}: {kind} of register 0x{address:03x} was not answered")
        if response:
            raise SimulationError(f"{kind} of register 0x{address:03x} was refused with response {response}: is there "
                                  "such a register?")

    def _raise_failure(self) -> None:
        text = self._library.arrayloom_failure(self._simulation)
        if text is not None:
            raise SimulationError(text.decode(errors="replace"))
