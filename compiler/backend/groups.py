"""Which steps are written together: one on the array, and those of the POST unit behind it that run in its shadow."""

from dataclasses import dataclass

from arrayloom.compiler.backend.layouts import allocation_root
from arrayloom.compiler.backend.steps import Average, Network, Step


@dataclass(frozen=True)
class Group:
    """``lead``, with the index of each step in the network; ``followers`` take iterations with it piece by piece."""

    lead: int
    followers: tuple[int, ...] = ()

    @property
    def steps(self) -> tuple[int, ...]:
        return (self.lead, *self.followers)


def form_groups(network: Network, spilled: set[str]) -> list[Group]:
    """All steps in order; tensors in ``spilled`` have no place on chip, and steps that touch them stand alone."""
    groups: list[Group] = []
    for index, step in enumerate(network.steps):
        if groups and _may_follow(network, groups[-1], step, spilled):
            groups[-1] = Group(groups[-1].lead, (*groups[-1].followers, index))
        else:
            groups.append(Group(index))
    return groups


def _may_follow(network: Network, group: Group, step: Step, spilled: set[str]) -> bool:
    """Parameters and tables are FIFOs: thresholds that stay at the head, or a second table, would be in the way."""
    if step.on_array or not network.steps[group.lead].on_array or isinstance(step.operation, Average):
        return False
    if step.table is not None and any(network.steps[index].table is not None for index in group.steps):
        return False
    return not any(allocation_root(network, name)[0] in spilled for name in (*network.reads(step), step.output))
