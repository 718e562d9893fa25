"""The families of devices: how Yosys maps a design to each, which resources its cells use, and what each device has."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from arrayloom.host.analysis.errors import SynthesisError

TOP = "top"
VERILOG, NETLIST, PINS = "design.v", "netlist.json", "pins.txt"
RESOURCES = ("multipliers", "block_rams", "luts", "registers")

# Wire delay in ps between two LUTs on a quarter-full device; synth_ecp5's default of 300 saves LUTs at the
# expense of depth.
_WIRE_PS = 800

Weights = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Part:
    """A device: its name for ``--device``, and its properties from nextpnr or a table.

    ``arguments`` select it in nextpnr; ``speeds`` are its grades, the first is the default; ``available`` are the resources
    of a device that is only mapped; ``mapping`` are specific arguments for Yosys; ``pins`` are the wrapper's pins as
    lines of the file ``PINS``, if nextpnr does not choose them.
    """

    name: str
    arguments: tuple[str, ...] = ()
    speeds: tuple[int, ...] = ()
    available: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    mapping: str = ""
    pins: str = ""


@dataclass(frozen=True)
class Family:
    """Devices that share their cells.

    Parameters
    ----------
    name : str
        Name for ``--target``.
    script : str
        Yosys commands from the read design to the mapped one; ``{mapping}`` is replaced by the part's.
    cells : mapping of mapping
        For each of ``RESOURCES``, the cells of Yosys's netlist and how many of the resource each takes.
    parts : tuple of Part
        The first is the default.
    placed : mapping
        For each resource, its name in nextpnr's report; empty if the family cannot be placed here.
    keeps_few_words : bool
        Whether Yosys puts memories of a few words into registers because they are cheaper there.
    """

    name: str
    script: str
    cells: Weights
    parts: tuple[Part, ...]
    placed: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    keeps_few_words: bool = False

    def part(self, name: str | None) -> Part:
        """The device of that name, or the first. Raises ``SynthesisError``, which lists them."""
        for part in self.parts:
            if name in (None, part.name):
                return part
        raise SynthesisError(f"device {name!r}: unknown; there are {', '.join(part.name for part in self.parts)}")


@dataclass(frozen=True)
class Device:
    """A part of a family at a speed grade. Raises ``SynthesisError`` naming what there is for any other grade."""

    family: Family
    part: Part
    speed: int | None = None

    def __post_init__(self) -> None:
        if self.speed is None and self.part.speeds:
            object.__setattr__(self, "speed", self.part.speeds[0])
        elif self.speed is not None and self.speed not in self.part.speeds:
            raise SynthesisError(f"speed grade {self.speed}: unknown; there are {', '.join(map(str, self.part.speeds))}"
                                 if self.part.speeds else
                                 f"speed grade {self.speed}: {self.part.name} has none to choose here; leave out --speed")

    @property
    def name(self) -> str:
        """The device's name for people."""
        if self.family is ECP5:
            return f"ECP5-{self.part.name.removesuffix('k')}F-{self.speed}"
        return self.part.name if self.speed is None else f"{self.part.name}-{self.speed}"

    @property
    def script(self) -> str:
        """All commands that Yosys runs."""
        mapping = self.family.script.format(mapping=self.part.mapping)
        # autoname: cells get the names of their units
        return f"read_verilog {VERILOG}; {mapping}; autoname; write_json {NETLIST}"

    def arguments(self) -> list[str]:
        """nextpnr's arguments for the device."""
        return [argument.format(speed=self.speed) for argument in self.part.arguments]


def ecp5_mapping(top: str, options: str = "") -> str:
    """The Yosys commands that map the design to cells of an ECP5."""
    synth = f"synth_ecp5 {options} -top {top} -run"
    return f"{synth} begin:map_luts; abc9 -W {_WIRE_PS}; clean; {synth} map_cells:edif"


def _xilinx(**counts: tuple[int, int, int, int]) -> tuple[Part, ...]:
    return tuple(Part(name, available=dict(zip(RESOURCES, values, strict=True))) for name, values in counts.items())


def _each(*cells: str) -> dict[str, float]:
    return dict.fromkeys(cells, 1)


_LUTS = _each(*(f"LUT{inputs}" for inputs in range(1, 7)), "SRL16E", "SRLC32E")
_XILINX_REGISTERS = _each("FDRE", "FDSE", "FDCE", "FDPE")

ECP5 = Family(
    "ecp5",
    ecp5_mapping(TOP, "-no-rw-check"),
    {"multipliers": _each("MULT18X18D"), "block_rams": _each("DP16KD"), "registers": _each("TRELLIS_FF"),
     "luts": {"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 4}},    # the write port of a distributed RAM takes two more
    tuple(Part(size, (f"--{size}", "--package", "CABGA381", "--speed", "{speed}"), (6, 7, 8))
          for size in ("85k", "12k", "25k", "45k")),
    {"multipliers": ("MULT18X18D",), "block_rams": ("DP16KD",), "luts": ("TRELLIS_COMB",), "registers": ("TRELLIS_FF",)})

# Pins of a CrossLink-NX with 400 balls that exist on every speed grade.
_NEXUS_PINS = {"clk": "L13", "rst": "G19", "serial_in": "N14", "shift": "M14", "load": "M16", "capture": "M15",
               "serial_out": "E17"}

NEXUS = Family(
    "nexus",
    f"synth_nexus -noccu2 -no-rw-check -top {TOP}",     # nextpnr rejects Yosys's carry chains
    {"multipliers": _each("MULT9X9", "MULT18X18", "MULT18X36", "MULT36X36"),
     "block_rams": _each("PDPSC16K", "DP16K", "PDP16K"), "registers": _each("FD1P3IX", "FD1P3JX", "FD1P3BX", "FD1P3DX"),
     "luts": {"LUT4": 1, "CCU2": 2, "WIDEFN9": 2, "DPR16X4": 4}},
    (Part("LIFCL-40", ("--device", "LIFCL-40-{speed}BG400C", "--pdc", PINS), (7, 8, 9), pins="\n".join(
        f"ldc_set_location -site {{{pin}}} [get_ports {port}]" for port, pin in _NEXUS_PINS.items())),),
    {"multipliers": ("MULT9_CORE", "MULT18_CORE"), "block_rams": ("OXIDE_EBR",), "luts": ("OXIDE_COMB",),
     "registers": ("OXIDE_FF",)})

GOWIN = Family(
    "gowin",
    f"synth_gowin -no-rw-check -top {TOP} {{mapping}}",
    {"multipliers": _each("MULT9X9", "MULT18X18", "MULT36X36", "MULT12X12", "MULT27X36"),
     "block_rams": _each("SP", "SPX9", "DPB", "DPX9B", "SDPB", "SDPX9B"),
     "registers": _each(*(f"DFF{kind}{enable}" for kind in ("", "R", "S", "P", "C") for enable in ("", "E"))),
     "luts": {"LUT1": 1, "LUT2": 1, "LUT3": 1, "LUT4": 1, "ALU": 1, "RAM16SDP4": 4}},
    (Part("GW5AST-LV138PG484A", ("--device", "GW5AST-LV138PG484AC1/I0"), mapping="-family gw5a -strict-gw5a-dffs"),
     Part("GW2A-LV18PG256", ("--device", "GW2A-LV18PG256C8/I7"), mapping="-family gw2a")),
    {"multipliers": ("MULT9X9", "MULT18X18", "MULT12X12", "MULT27X36"), "block_rams": ("BSRAM",), "luts": ("LUT4",),
     "registers": ("DFF",)})

# Resources of AMD's devices: DSP slices, block RAMs of 36 Kbit, LUTs and registers (DS180, DS190, DS891 and DS890).
XC7 = Family(
    "xc7",
    f"synth_xilinx -family xc7 -flatten -top {TOP}",
    {"multipliers": _each("DSP48E1"), "block_rams": {"RAMB36E1": 1, "RAMB18E1": 0.5}, "registers": _XILINX_REGISTERS,
     "luts": {**_LUTS, "RAM32X1D": 2, "RAM64X1D": 2, "RAM32M": 4, "RAM64M": 4, "RAM128X1D": 4}},
    _xilinx(xc7a200t=(740, 365, 134_600, 269_200), xc7a100t=(240, 135, 63_400, 126_800), xc7z020=(220, 140, 53_200, 106_400),
            xc7k325t=(840, 445, 203_800, 407_600), xc7vx690t=(3_600, 1_470, 433_200, 866_400)),
    keeps_few_words=True)

XCUP = Family(
    "xcup",
    f"synth_xilinx -family xcup -flatten -top {TOP}",
    {"multipliers": _each("DSP48E2"), "block_rams": {"RAMB36E2": 1, "RAMB18E2": 0.5}, "registers": _XILINX_REGISTERS,
     "luts": {**_LUTS, "RAM32X1D": 2, "RAM64X1D": 2, "RAM32M16": 8, "RAM64M8": 8, "RAM32M": 4, "RAM64M": 4}},
    _xilinx(xczu9eg=(2_520, 912, 274_080, 548_160), xczu7ev=(1_728, 312, 230_400, 460_800),
            xck26=(1_248, 144, 117_120, 234_240), xcvu9p=(6_840, 2_160, 1_182_240, 2_364_480)),
    keeps_few_words=True)

FAMILIES = {family.name: family for family in (ECP5, XC7, XCUP, NEXUS, GOWIN)}


def find_device(family: str, part: str | None = None, speed: int | None = None) -> Device:
    """The device of a family, each by its name or the default. Raises ``SynthesisError``, which lists the known ones."""
    if family not in FAMILIES:
        raise SynthesisError(f"target {family!r}: unknown; there are {', '.join(FAMILIES)}")
    return Device(FAMILIES[family], FAMILIES[family].part(part), speed)
