"""Which tensors have a place on chip and where; others lie in memory and pass through a scratch buffer."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from arrayloom.compiler.backend.attention import room_of
from arrayloom.compiler.backend.depthwise import kernel_words
from arrayloom.compiler.backend.groups import Group, form_groups
from arrayloom.compiler.backend.layouts import allocation_root
from arrayloom.compiler.backend.operations import Convolution, DepthwiseConvolution, is_dense
from arrayloom.compiler.backend.row_tiles import RowTiles, largest_row_tiles, smallest_row_tiles
from arrayloom.compiler.backend.steps import Network, Step
from arrayloom.isa.config import Config

FAR_LESS = 2    # how often its burden must be in that of the tensor that finds no place


class NoKernelRoomError(Exception):
    """The kernel of the step that makes ``output`` finds no place on chip."""

    def __init__(self, output: str) -> None:
        super().__init__(output)
        self.output = output


@dataclass(frozen=True)
class Kernel:
    """The words of a depthwise kernel; ``output``: what the step makes."""

    output: str


@dataclass
class Placement:
    """Where everything lies.

    ``chip``: first word of each tensor with a place on chip; ``kernels``: of each depthwise kernel, by what its step makes;
    ``scratch_buffers``: first word of the scratch buffer of each group that needs one, with the row tiles that fit it;
    ``memory``: first word in the data section of each tensor that is there; ``inputs``: the tensors that the host writes.
    """

    groups: list[Group]
    chip: dict[str, int] = field(default_factory=dict)
    kernels: dict[str, int] = field(default_factory=dict)
    scratch_buffers: dict[int, tuple[int, RowTiles]] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)
    memory_words: int = 0
    inputs: set[str] = field(default_factory=set)

    def memory_word(self, network: Network, name: str) -> int:
        """The first word of a tensor in the data section."""
        name = network.root(name)
        if name in self.memory:
            return self.memory[name]
        root, block = allocation_root(network, name)
        return self.memory[root] + block * network.layouts[name].plane


@dataclass(frozen=True)
class _Claim:
    """Words claimed on chip from group ``first`` to group ``last``; the name of a scratch buffer is its group's number."""

    name: str | int | Kernel
    words: int
    first: int
    last: int

    def meets(self, other: "_Claim") -> bool:
        return self.first <= other.last and other.first <= self.last


def place(network: Network, config: Config) -> Placement:
    """Places every tensor, spilling as few as possible.

    Raises ``CompileError`` naming the layer when even one row of its tensors does not fit, ``NoKernelRoomError`` for a
    depthwise step whose kernel does not fit next to them.
    """
    spilled: set[str] = set()
    inputs = {network.root(port.tensor) for port in network.inputs}
    while True:
        groups = form_groups(network, spilled)
        scratch_buffers = _smallest_scratch_buffers(network, groups, spilled, config)
        claims = scratch_buffers + _kernels(network, groups, config)
        claims += sorted(_tensors(network, groups, spilled), key=lambda claim: -claim.words)
        placed, failed = _first_fit(claims, config.activation_words)
        if failed is None:
            break
        if isinstance(failed.name, Kernel):
            raise NoKernelRoomError(failed.name.output)
        spilled.add(_victim(network, failed, claims, inputs, config))
    placement = Placement(groups, inputs=inputs)
    placement.chip = {str(t.name): base for t, base in placed if isinstance(t.name, str)}
    placement.kernels = {claim.name.output: base for claim, base in placed if isinstance(claim.name, Kernel)}
    for scratch in scratch_buffers:
        assert isinstance(scratch.name, int)
        index = scratch.name
        base, words = _largest_gap(scratch, placed, config.activation_words)
        row_tiles = largest_row_tiles(network, network.steps[groups[index].lead], spilled, words)
        placement.scratch_buffers[index] = (base, row_tiles)
    _place_in_memory(network, placement, spilled)
    return placement


def _victim(network: Network, failed: _Claim, claims: list[_Claim], inputs: set[str], config: Config) -> str:
    """What to spill when a tensor finds no place: an input that is there at the time, since that comes from memory anyway;
    else the tensor itself, which is the smallest of those placed so far, unless another one is far less in the way."""
    there = [claim for claim in claims if isinstance(claim.name, str) and claim.meets(failed)]
    given = [claim for claim in there if claim.name in inputs]
    if given:
        return str(given[0].name)
    burdens = {str(claim.name): _burden(network, str(claim.name), config) for claim in there if claim.words >= failed.words}
    least = min(burdens, key=lambda name: burdens[name])
    return least if burdens[least] < burdens[str(failed.name)] / FAR_LESS else str(failed.name)


def _burden(network: Network, name: str, config: Config) -> float:
    """How much a tensor in memory is in the way of the steps that touch it, in cycles: words that are loaded in few cycles
    far more so than those that are loaded along with a long computation; STORE has its own way to memory."""
    burden = 0.0
    for step in network.steps:
        cycles = _cycles(network, step, config)
        loaded = sum(network.layouts[each].words for each in network.reads(step)
                     if allocation_root(network, each)[0] == name)
        stored = network.layouts[step.output].words if allocation_root(network, step.output)[0] == name else 0
        burden += loaded * loaded / cycles + max(0, stored - cycles)
        burden += cycles if (loaded or stored) and not step.on_array else 0     # it stands alone then
    return burden


def _cycles(network: Network, step: Step, config: Config) -> int:
    """Cycles that a step takes, about: those of the array or of the POST unit, whichever has more."""
    layout, operation = network.layouts[step.output], step.operation
    post = layout.words * config.groups
    if not isinstance(operation, Convolution):
        return post
    blocks = network.layouts[step.x].blocks if is_dense(operation) else 1
    return max(post, layout.words * blocks * operation.taps.kernel[0] * operation.taps.kernel[1])


def _smallest_scratch_buffers(network: Network, groups: list[Group], spilled: set[str], config: Config) -> list[_Claim]:
    """What every group with a spilled tensor needs at least."""
    claims = []
    for index, group in enumerate(groups):
        row_tiles = smallest_row_tiles(network, network.steps[group.lead], spilled, config)
        if row_tiles is not None:
            claims.append(_Claim(index, row_tiles.words, index, index))
    return claims


def _kernels(network: Network, groups: list[Group], config: Config) -> list[_Claim]:
    """Every depthwise kernel, from the group before its own on, so that it can be loaded ahead."""
    return [_Claim(Kernel(step.output), kernel_words(network, step), max(0, index - 1), index)
            for index, group in enumerate(groups) for step in (network.steps[number] for number in group.steps)
            if isinstance(step.operation, DepthwiseConvolution)] + [
        _Claim(Kernel(step.output), words, max(0, index - 1), index)
        for index, group in enumerate(groups) for step in (network.steps[number] for number in group.steps)
        if (words := room_of(network, step, config.size))]


def _tensors(network: Network, groups: list[Group], spilled: set[str]) -> Iterable[_Claim]:
    """Every stored tensor with the groups that touch it."""
    touched: dict[str, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        for step in (network.steps[i] for i in group.steps):
            for name in (*network.reads(step), step.output):
                touched[allocation_root(network, name)[0]].append(index)
    return [_Claim(name, network.layouts[name].words, min(at), max(at))
            for name, at in touched.items() if name not in spilled]


def _first_fit(claims: list[_Claim], words: int) -> tuple[list[tuple[_Claim, int]], _Claim | None]:
    """Each claim at the lowest free address, in the order given; or the first that finds none."""
    placed: list[tuple[_Claim, int]] = []
    for claim in claims:
        base = next((low for low, high in _gaps(claim, placed, words) if high - low >= claim.words), None)
        if base is None:
            return placed, claim
        placed.append((claim, base))
    return placed, None


def _gaps(claim: _Claim, placed: list[tuple[_Claim, int]], words: int) -> list[tuple[int, int]]:
    """Free addresses [low, high) while ``claim`` is there."""
    gaps, low = [], 0
    for start, end in sorted((base, base + other.words) for other, base in placed if other.meets(claim)):
        gaps.append((low, start))
        low = max(low, end)
    return [*gaps, (low, words)]


def _largest_gap(scratch: _Claim, placed: list[tuple[_Claim, int]], words: int) -> tuple[int, int]:
    """Base and length of the largest free piece around the scratch buffer while its group runs, its own place included."""
    others = [(claim, base) for claim, base in placed if claim is not scratch]
    low, high = max(_gaps(scratch, others, words), key=lambda gap: gap[1] - gap[0])
    return low, high - low


def _place_in_memory(network: Network, placement: Placement, spilled: set[str]) -> None:
    """Inputs, what is spilled, and what leaves the device, one after the other."""
    names = [network.root(port.tensor) for port in network.inputs]
    names += [network.root(port.tensor) for port in network.outputs]
    names += [network.features] if network.features else []
    roots = [allocation_root(network, name)[0] for name in names]
    places = [root if root in spilled else name for name, root in zip(names, roots, strict=True)]
    for name in dict.fromkeys([*places, *sorted(spilled)]):
        placement.memory[name] = placement.memory_words
        placement.memory_words += network.layouts[name].words
