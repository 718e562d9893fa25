"""Places tensors on chip or in memory; those in memory pass through a scratch buffer on chip."""

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
from arrayloom.compiler.errors import CompileError
from arrayloom.isa.config import Config

FAR_LESS = 2    # another tensor is spilled only if its burden is this many times smaller


class NoKernelRoomError(Exception):
    """There is no place on chip for the kernel of the step that computes ``output``."""

    def __init__(self, output: str) -> None:
        super().__init__(output)
        self.output = output


@dataclass(frozen=True)
class Kernel:
    """The words that the step with this output needs in addition to its tensors, such as a depthwise kernel."""

    output: str


@dataclass
class Placement:
    """The places of all tensors.

    Attributes
    ----------
    groups
        The groups of steps.
    chip
        First scratchpad word of each tensor with a place on chip.
    kernels
        First scratchpad word of each kernel, by the output of its step.
    scratch_buffers
        First scratchpad word of the scratch buffer of each group that needs one, and the row tiles that fit it.
    memory
        First word in the data section of each tensor in memory.
    memory_words
        Words in the data section.
    inputs
        The tensors that the host writes.
    """

    groups: list[Group]
    chip: dict[str, int] = field(default_factory=dict)
    kernels: dict[str, int] = field(default_factory=dict)
    scratch_buffers: dict[int, tuple[int, RowTiles]] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)
    memory_words: int = 0
    inputs: set[str] = field(default_factory=set)

    def memory_word(self, network: Network, name: str) -> int:
        """Returns the first word of a tensor in the data section."""
        name = network.root(name)
        if name in self.memory:
            return self.memory[name]
        root, block = allocation_root(network, name)
        return self.memory[root] + block * network.layouts[name].plane


@dataclass(frozen=True)
class _Claim:
    """Words that are needed on chip from group ``first`` to group ``last``; a scratch buffer is named by its group."""

    name: str | int | Kernel
    words: int
    first: int
    last: int

    def meets(self, other: "_Claim") -> bool:
        return self.first <= other.last and other.first <= self.last


def place(network: Network, config: Config) -> Placement:
    """Places every tensor, spilling as few as possible.

    Raises ``CompileError``, which names the layer, if even one row of its tensors or a tensor that it reads as a whole does
    not fit, and ``NoKernelRoomError`` if a kernel does not fit.
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
        _require_whole(network, spilled, config)
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


def _require_whole(network: Network, spilled: set[str], config: Config) -> None:
    """Raises ``CompileError`` for a step that reads a spilled tensor as a whole, as a product of two activations does."""
    for step in network.steps:
        for name in step.operation.others:
            if allocation_root(network, name)[0] in spilled:
                raise CompileError(
                    f"layer that makes '{step.output}': it reads all of '{name}', which does not fit the scratchpad of "
                    f"{config.name}, {config.activation_bytes} bytes, at that time; compile for a configuration with a "
                    "greater activation_bytes")


def _victim(network: Network, failed: _Claim, claims: list[_Claim], inputs: set[str], config: Config) -> str:
    """Returns the tensor to spill if there is no place for ``failed``.

    Network inputs come first, as they come from memory anyway. Otherwise it is the tensor itself, which is the smallest so
    far, unless another one has a far smaller burden.
    """
    there = [claim for claim in claims if isinstance(claim.name, str) and claim.meets(failed)]
    given = [claim for claim in there if claim.name in inputs]
    if given:
        return str(given[0].name)
    burdens = {str(claim.name): _burden(network, str(claim.name), config) for claim in there if claim.words >= failed.words}
    least = min(burdens, key=lambda name: burdens[name])
    return least if burdens[least] < burdens[str(failed.name)] / FAR_LESS else str(failed.name)


def _burden(network: Network, name: str, config: Config) -> float:
    """Estimates the cycles that a tensor costs if it is in memory.

    Loads cost little if they overlap with a long computation, so a load costs its words times the ratio of words to the
    step's cycles. Stores cost only what exceeds the step's cycles.
    """
    burden = 0.0
    for step in network.steps:
        cycles = _cycles(network, step, config)
        loaded = sum(network.layouts[each].words for each in network.reads(step)
                     if allocation_root(network, each)[0] == name)
        stored = network.layouts[step.output].words if allocation_root(network, step.output)[0] == name else 0
        burden += loaded * loaded / cycles + max(0, stored - cycles)
        burden += cycles if (loaded or stored) and not step.on_array else 0     # it cannot be interleaved with others
    return burden


def _cycles(network: Network, step: Step, config: Config) -> int:
    """Estimates the cycles of a step: those of the array or of the POST unit, whichever is larger."""
    layout, operation = network.layouts[step.output], step.operation
    post = layout.words * config.groups
    if not isinstance(operation, Convolution):
        return post
    blocks = network.layouts[step.x].blocks if is_dense(operation) else 1
    return max(post, layout.words * blocks * operation.taps.kernel[0] * operation.taps.kernel[1])


def _smallest_scratch_buffers(network: Network, groups: list[Group], spilled: set[str], config: Config) -> list[_Claim]:
    """Returns the smallest scratch buffer for each group that accesses a spilled tensor."""
    claims = []
    for index, group in enumerate(groups):
        row_tiles = smallest_row_tiles(network, network.steps[group.lead], spilled, config)
        if row_tiles is not None:
            claims.append(_Claim(index, row_tiles.words, index, index))
    return claims


def _kernels(network: Network, groups: list[Group], config: Config) -> list[_Claim]:
    """Returns the claims of all kernels; each begins one group early, so that the kernel can be loaded in advance."""
    return [_Claim(Kernel(step.output), kernel_words(network, step), max(0, index - 1), index)
            for index, group in enumerate(groups) for step in (network.steps[number] for number in group.steps)
            if isinstance(step.operation, DepthwiseConvolution)] + [
        _Claim(Kernel(step.output), words, max(0, index - 1), index)
        for index, group in enumerate(groups) for step in (network.steps[number] for number in group.steps)
        if (words := room_of(network, step, config.size))]


def _tensors(network: Network, groups: list[Group], spilled: set[str]) -> Iterable[_Claim]:
    """Returns the claims of all stored tensors that are not spilled, from the first to the last group that accesses them."""
    touched: dict[str, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        for step in (network.steps[i] for i in group.steps):
            for name in (*network.reads(step), step.output):
                touched[allocation_root(network, name)[0]].append(index)
    return [_Claim(name, network.layouts[name].words, min(at), max(at))
            for name, at in touched.items() if name not in spilled]


def _first_fit(claims: list[_Claim], words: int) -> tuple[list[tuple[_Claim, int]], _Claim | None]:
    """Places claims in order, each at the lowest free address; returns the places, and the first claim without one."""
    placed: list[tuple[_Claim, int]] = []
    for claim in claims:
        base = next((low for low, high in _gaps(claim, placed, words) if high - low >= claim.words), None)
        if base is None:
            return placed, claim
        placed.append((claim, base))
    return placed, None


def _gaps(claim: _Claim, placed: list[tuple[_Claim, int]], words: int) -> list[tuple[int, int]]:
    """Returns the ranges [low, high) of words that are free during all groups of ``claim``."""
    gaps, low = [], 0
    for start, end in sorted((base, base + other.words) for other, base in placed if other.meets(claim)):
        gaps.append((low, start))
        low = max(low, end)
    return [*gaps, (low, words)]


def _largest_gap(scratch: _Claim, placed: list[tuple[_Claim, int]], words: int) -> tuple[int, int]:
    """Returns base and length of the largest range that is free during the scratch buffer's group."""
    others = [(claim, base) for claim, base in placed if claim is not scratch]
    low, high = max(_gaps(scratch, others, words), key=lambda gap: gap[1] - gap[0])
    return low, high - low


def _place_in_memory(network: Network, placement: Placement, spilled: set[str]) -> None:
    """Places network inputs, network outputs and spilled tensors in the data section."""
    names = [network.root(port.tensor) for port in network.inputs]
    names += [network.root(port.tensor) for port in network.outputs]
    names += [network.features] if network.features else []
    roots = [allocation_root(network, name)[0] for name in names]
    places = [root if root in spilled else name for name, root in zip(names, roots, strict=True)]
    for name in dict.fromkeys([*places, *sorted(spilled)]):
        placement.memory[name] = placement.memory_words
        placement.memory_words += network.layouts[name].words
