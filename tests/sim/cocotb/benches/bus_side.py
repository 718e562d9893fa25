"""The units that share the memory bus, without the rest of the accelerator: a design for benches."""

from amaranth.hdl import Module
from amaranth.lib import stream
from amaranth.lib.wiring import Component, In, Out, connect, flipped

from arrayloom.hdl.axi import Bus, bus_status_signature
from arrayloom.hdl.fetch import Fetch, control_signature
from arrayloom.hdl.interfaces import INSTRUCTION, axi_signature, sink_signature, unit_signature
from arrayloom.hdl.load import Load
from arrayloom.hdl.scratchpad import Scratchpad
from arrayloom.hdl.store import Store
from arrayloom.hdl.windows import Windows
from arrayloom.isa.bus import ADDRESS_BITS
from arrayloom.isa.config import Config
from arrayloom.isa.fields import CORE_UNITS


class BusSide(Component):
    """FETCH, LOAD, STORE, the bus and the scratchpad.

    Members
    -------
    axi : Out(axi_signature)
    base, limit, code : In(40)
        Bus addresses: the origin of transfers, the end of the accessible memory, and the program.
    load, store : Out(unit_signature)
        Take instructions whose tokens have been given.
    weights, parameters, tables : Out(sink_signature)
    queues : Out(stream of instructions), one for each unit
    fetch : Out(arrayloom.hdl.fetch.control_signature)
    idle : In(1)
        No unit has an instruction.
    status : Out(arrayloom.hdl.axi.bus_status_signature)
    load_error, store_error : Out(1)
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__({
            "axi": Out(axi_signature(config)), "base": In(ADDRESS_BITS),
            "limit": In(ADDRESS_BITS), "code": In(ADDRESS_BITS),
            "load": Out(unit_signature()), "store": Out(unit_signature()),
            **{name: Out(sink_signature(config)) for name in ("weights", "parameters", "tables")},
            "queues": Out(stream.Signature(INSTRUCTION)).array(len(CORE_UNITS)),
            "fetch": Out(control_signature()), "idle": In(1), "status": Out(bus_status_signature()),
            "load_error": Out(1), "store_error": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.bus, m.submodules.memory = bus, memory = Bus(config), Scratchpad(config)
        m.submodules.fetch, m.submodules.load, m.submodules.store = fetch, load, store = (
            Fetch(config), Load(config), Store(config))
        for unit, port in ((fetch, bus.fetch), (load, bus.load), (store, bus.store)):
            connect(m, unit.bus, port)
        m.submodules.windows = windows = Windows(config)
        connect(m, windows.load, load.window)
        connect(m, windows.store, store.window)
        connect(m, load.write, memory.load)
        connect(m, store.read, memory.store)
        for inner, outer in ((bus.axi, self.axi), (bus.status, self.status), (fetch.control, self.fetch),
                             (load.unit, self.load), (store.unit, self.store), (load.weights, self.weights),
                             (load.parameters, self.parameters), (load.tables, self.tables),
                             *zip(fetch.queues, self.queues, strict=True)):
            connect(m, inner, flipped(outer))
        m.d.comb += [
            load.base.eq(self.base), store.base.eq(self.base), fetch.program.eq(self.code), fetch.base.eq(self.base),
            fetch.limit.eq(self.limit), windows.base.eq(self.base), windows.limit.eq(self.limit),
            windows.write_base.eq(self.base), windows.write_limit.eq(self.limit),
            fetch.idle.eq(self.idle & bus.status.quiet),
            self.load_error.eq(load.bus_error), self.store_error.eq(store.bus_error),
        ]
        return m
