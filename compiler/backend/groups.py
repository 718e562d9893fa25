"""Groups: steps whose instructions are interleaved. The pieces of followers are written between those of the lead."""

from dataclasses import dataclass

from arrayloom.compiler.backend.attention import AttentionOperation, MixtureOperation, ScoresOperation, SoftmaxOperation
from arrayloom.compiler.backend.layouts import allocation_root
from arrayloom.compiler.backend.operations import Average, DepthwiseConvolution, is_dense
from arrayloom.compiler.backend.steps import Network, Step


@dataclass(frozen=True)
class Group:
    """A group of steps, each identified by its index in the network."""

    lead: int
    followers: tuple[int, ...] = ()

    @property
    def steps(self) -> tuple[int, ...]:
        return (self.lead, *self.followers)

    def with_follower(self, index: int) -> "Group":
        """Returns the group with another follower."""
        return Group(self.lead, (*self.followers, index))


def form_groups(network: Network, spilled: set[str]) -> list[Group]:
    """Divides all steps into groups, in order.

    Tensors in ``spilled`` have no place on chip; a step that accesses one forms a group of its own.
    """
    groups: list[Group] = []
    for index, step in enumerate(network.steps):
        if groups and _may_follow(network, groups[-1], step, spilled):
            groups[-1] = groups[-1].with_follower(index)
        else:
            groups.append(Group(index))
    return groups


def _may_follow(network: Network, group: Group, step: Step, spilled: set[str]) -> bool:
    """Whether a step can join a group.

    Parameters and lookup tables are in FIFOs. Interleaved steps that alternate between several tables would load them again
    for each piece, and so would averages with different divisors load their thresholds; these are not interleaved.
    """
    if isinstance(step.operation, AttentionOperation):
        return _continues_attention(network, group, step, spilled)
    if not network.steps[group.lead].on_array or _has_several_divisors(network, step):
        return False
    if isinstance(step.operation, DepthwiseConvolution) and _has_depthwise(network, group):
        return False    # banks of sums are drained in the order in which they are filled
    if step.on_array and not _ends_chain(network, group, step):
        return False
    users = [each.epilogue for each in (*(network.steps[number] for number in group.steps), step)
             if each.epilogue.lookup_table is not None]
    if step.epilogue.lookup_table is not None and len(users) > 1 and any(epilogue.per_channel for epilogue in users):
        return False
    return not any(allocation_root(network, name)[0] in spilled for name in (*network.reads(step), step.output))


def _continues_attention(network: Network, group: Group, step: Step, spilled: set[str]) -> bool:
    """Whether a group and a step are the beginning of scores, softmax and mixture, each of which reads the previous one.

    Only these can be interleaved; other operations of attention read whole tensors.
    """
    before = [network.steps[index] for index in group.steps]
    kinds = [type(each.operation) for each in (*before, step)]
    if kinds != [ScoresOperation, SoftmaxOperation, MixtureOperation][:len(kinds)] or step.x != before[-1].output:
        return False
    names = {name for each in (*before, step) for name in (*network.reads(each), each.output)}
    return not any(allocation_root(network, name)[0] in spilled for name in names)


def _has_several_divisors(network: Network, step: Step) -> bool:
    """Whether a step is an average with windows that leave the source and are divided by fewer elements."""
    operation = step.operation
    if not isinstance(operation, Average) or operation.count_include_pad:
        return False
    return not operation.taps.lie_inside(network.shapes[step.x][1:], network.shapes[step.output][1:])


def _has_depthwise(network: Network, group: Group) -> bool:
    return any(isinstance(network.steps[index].operation, DepthwiseConvolution) for index in group.steps)


def _ends_chain(network: Network, group: Group, step: Step) -> bool:
    """Whether a step is a convolution that reads the output of a depthwise step at the end of the group."""
    last = network.steps[group.steps[-1]]
    return (isinstance(last.operation, DepthwiseConvolution) and step.x == last.output and is_dense(step.operation)
            and not step.epilogue.per_channel)
