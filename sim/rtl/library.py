"""The C interface of the harness (harness/harness.cpp), bound with ctypes. Calls release the GIL."""

import ctypes
from pathlib import Path

import numpy as np

from arrayloom.sim.rtl.design import Variant
from arrayloom.sim.rtl.errors import BuildError

BYTES = ctypes.POINTER(ctypes.c_uint8)
WORDS = ctypes.POINTER(ctypes.c_uint32)
HANDLE = ctypes.c_void_p


class TimingStruct(ctypes.Structure):
    """``arrayloom::Timing`` of harness/settings.h."""

    _fields_ = [("latency", ctypes.c_uint32), ("outstanding", ctypes.c_uint32), ("beat_interval", ctypes.c_uint32),
                ("stall_percent", ctypes.c_uint32), ("seed", ctypes.c_uint64)]


class StatisticsStruct(ctypes.Structure):
    """``arrayloom::Statistics`` of harness/settings.h."""

    _fields_ = [(name, ctypes.c_uint64) for name in ("read_bursts", "read_beats", "read_busy_cycles", "write_bursts",
                                                     "write_beats", "write_busy_cycles")]


SEGMENT = np.dtype([(name, np.uint32) for name in ("cycles", "causes", "retired", "words_read", "words_written")])
"""``arrayloom::Segment`` of harness/settings.h."""

POINT = np.dtype([("cycle", np.uint64), ("instruction", np.uint64), ("digest", np.uint64, (2,))])
"""``arrayloom::Point`` of harness/settings.h."""

_U32, _U64, _I32 = ctypes.c_uint32, ctypes.c_uint64, ctypes.c_int32
_P32 = ctypes.POINTER(_U32)

FUNCTIONS: dict[str, tuple[type | None, tuple[type, ...]]] = {
    "arrayloom_word_bytes": (_U32, ()),
    "arrayloom_create": (HANDLE, (BYTES, _U64, _U64, _U64)),
    "arrayloom_destroy": (None, (HANDLE,)),
    "arrayloom_configure": (_I32, (HANDLE, ctypes.POINTER(TimingStruct))),
    "arrayloom_add_fault": (None, (HANDLE, _U64, _U64)),
    "arrayloom_clear_faults": (None, (HANDLE,)),
    "arrayloom_reset": (None, (HANDLE, _U32)),
    "arrayloom_reset_core": (None, (HANDLE, _U32)),
    "arrayloom_plan": (None, (HANDLE, _U32, _U64)),
    "arrayloom_run": (_I32, (HANDLE, _U64, _I32)),
    "arrayloom_write_register": (_I32, (HANDLE, _U32, _U32, _P32)),
    "arrayloom_read_register": (_I32, (HANDLE, _U32, _P32, _P32)),
    "arrayloom_cycles": (_U64, (HANDLE,)),
    "arrayloom_irq": (_I32, (HANDLE,)),
    "arrayloom_failure": (ctypes.c_char_p, (HANDLE,)),
    "arrayloom_statistics": (None, (HANDLE, ctypes.POINTER(StatisticsStruct))),
    "arrayloom_record": (None, (HANDLE, _I32)),
    "arrayloom_clear_record": (None, (HANDLE,)),
    "arrayloom_recorded": (_U64, (HANDLE, ctypes.POINTER(WORDS), ctypes.POINTER(BYTES))),
    "arrayloom_record_events": (None, (HANDLE, _I32)),
    "arrayloom_clear_events": (None, (HANDLE,)),
    "arrayloom_events": (_U64, (HANDLE, ctypes.POINTER(WORDS))),
    "arrayloom_has_control": (_I32, ()),
    "arrayloom_record_control": (None, (HANDLE, _I32)),
    "arrayloom_clear_control": (None, (HANDLE,)),
    "arrayloom_control": (_U64, (HANDLE, ctypes.POINTER(WORDS))),
    "arrayloom_running": (_I32, (HANDLE,)),
    "arrayloom_banks": (_U32, ()),
    "arrayloom_bank_words": (_U32, ()),
    "arrayloom_bank": (HANDLE, (HANDLE, _U32)),
}

WAVE_FUNCTIONS: dict[str, tuple[type | None, tuple[type, ...]]] = {
    "arrayloom_open_waves": (_I32, (HANDLE, ctypes.c_char_p, _U64, _U64)),
    "arrayloom_close_waves": (None, (HANDLE,)),
    "arrayloom_recording_waves": (_I32, (HANDLE,)),
}

ACTIVITY_FUNCTIONS: dict[str, tuple[type | None, tuple[type, ...]]] = {
    "arrayloom_activity": (_U64, (HANDLE, ctypes.POINTER(BYTES))),
}

COVERAGE_FUNCTIONS: dict[str, tuple[type | None, tuple[type, ...]]] = {
    "arrayloom_coverage": (_U64, (HANDLE, ctypes.POINTER(WORDS))),
    "arrayloom_write_coverage": (None, (HANDLE, ctypes.c_char_p)),
    "arrayloom_burst_kinds": (ctypes.POINTER(_U64), (HANDLE, _I32)),
}

BURST_KINDS = (4, 64, 2, 2)
"""``arrayloom::BurstKinds`` of harness/burst.h: identifier, length less one, begins a page, ends a page."""

MUTANT_FUNCTIONS: dict[str, tuple[type | None, tuple[type, ...]]] = {
    "arrayloom_select_mutant": (None, (HANDLE, _U32)),
}


def load(path: Path, variant: Variant) -> ctypes.CDLL:
    """A build's library with the types of its functions set. Raises ``BuildError`` if it cannot be loaded."""
    try:
        library = ctypes.CDLL(str(path), mode=ctypes.RTLD_LOCAL)
    except OSError as error:
        raise BuildError(f"{path} cannot be loaded ({error}): delete its folder, and it is built again") from error
    functions = dict(FUNCTIONS)
    for has, more in ((variant.waves is not None, WAVE_FUNCTIONS), (variant.activity, ACTIVITY_FUNCTIONS),
                      (variant.coverage, COVERAGE_FUNCTIONS), (variant.mutants, MUTANT_FUNCTIONS)):
        functions |= more if has else {}
    for name, (result, arguments) in functions.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
