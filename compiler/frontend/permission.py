"""Decides whether the host's part of a network is as small as the user requires, and writes the refusals if it is not."""

from dataclasses import replace

import onnx

from arrayloom.compiler.errors import Unsupported, UnsupportedError
from arrayloom.compiler.frontend.layers import is_quantized_layer
from arrayloom.compiler.frontend.macs import multiply_accumulates
from arrayloom.compiler.frontend.options import SMALL_SHARE, HostPolicy
from arrayloom.compiler.frontend.origin import origin_name, origin_operator
from arrayloom.compiler.frontend.partition import Partition, counts

#: Phrases in remedies that assume that the host may compute.
_HOST = ("host computes", "host does", "to the host")


def not_permitted(parts: Partition, policy: HostPolicy) -> list[Unsupported]:
    """Returns entries for the nodes of head and tail that make the host's part larger than the user permits."""
    if not _leaves_work(parts):
        listed = parts.nodes(parts.head | parts.tail)
    elif policy is HostPolicy.NONE:
        listed = [node for node in parts.nodes(parts.head | parts.tail) if counts(node)]
    elif policy is HostPolicy.SMALL and parts.share > SMALL_SHARE:
        listed = [node for node in parts.nodes(parts.head | parts.tail) if multiply_accumulates(parts.model, node)]
    else:
        listed = []
    head = {id(node) for node in parts.nodes(parts.head)}
    return [
        Unsupported(origin_name(node), origin_operator(node), "", _reason(id(node) in head), _remedy(parts, node, policy))
        for node in listed
    ]


def _reason(in_head: bool) -> str:
    where = "before the first quantized operator" if in_head else "after the last quantized operator"
    return f"it computes in float {where}, so the host would have to compute it"


def _remedy(parts: Partition, node: onnx.NodeProto, policy: HostPolicy) -> str:
    if not _leaves_work(parts):
        return "quantize the network: the accelerator would have nothing to compute"
    quantize = "quantize it"
    if is_quantized_layer(parts.model, node):
        quantize = "quantize its result, or have it rounded to 8 bits with --insert-rounding"
    if policy is HostPolicy.NONE:
        return f"{quantize}, or leave out --no-host"
    return f"{quantize}, or permit it with --host-tail ({_percent(parts)} of the multiply-accumulates)"


def grow(parts: Partition, error: UnsupportedError, policy: HostPolicy) -> tuple[Partition, list[Unsupported]]:
    """Returns the partition with refused nodes added to the tail, and entries of those that may not be added.

    Nodes are added one by one while the host's part stays within the policy. The remedies of the others say how much of the
    network the host would have to compute.
    """
    taken, refused = parts, []
    for entry in error.nodes:
        candidate = taken.grown([entry.node])
        if candidate.tail != parts.tail and _permitted(candidate, policy):
            taken = candidate
        else:
            refused.append(advised(entry, parts.grown([entry.node]), policy))
    return taken, refused


def _leaves_work(parts: Partition) -> bool:
    """Whether the accelerator computes anything, in particular products if the network has any."""
    return bool(parts.middle) and parts.share < 1


def _permitted(parts: Partition, policy: HostPolicy) -> bool:
    if not _leaves_work(parts):
        return False
    if policy is HostPolicy.NONE:
        return not any(counts(node) for node in parts.nodes(parts.tail | parts.head))
    return policy is HostPolicy.ANY or parts.share <= SMALL_SHARE


def advised(entry: Unsupported, parts: Partition, policy: HostPolicy) -> Unsupported:
    """Returns the entry with the additional remedy, if possible, to leave the node and its descendants to the host."""
    if policy is HostPolicy.ANY or not parts.tail or not _leaves_work(parts):
        return entry
    share = f"({_percent(parts)} of the multiply-accumulates)"
    if policy is HostPolicy.SMALL:
        return replace(entry, remedy=f"{entry.remedy}; or leave it and what follows to the host with --host-tail {share}")
    instead = "leave out --no-host" if parts.share <= SMALL_SHARE else "give --host-tail instead of --no-host"
    advice = f"{instead}: the host then computes it and what follows {share}"
    needs_host = any(word in entry.remedy for word in _HOST)
    return replace(entry, remedy=advice if needs_host else f"{entry.remedy}; or {advice}")


def _percent(parts: Partition) -> str:
    return f"{parts.share:.1%}".replace("%", " %")
