"""Collects everything that cannot be compiled, so that the user sees all of it at once."""

import onnx

from arrayloom.compiler.errors import Unsupported, UnsupportedError
from arrayloom.compiler.frontend.origin import node_name, operator_name, origin_name, origin_operator
from arrayloom.isa.host_parts import InsertedRounding

__all__ = ["ConsequenceError", "RefusalError", "Report", "node_name", "operator_name"]


class RefusalError(Exception):
    """Raised by a rule for something that cannot be compiled; the caller adds the node."""

    def __init__(self, reason: str, remedy: str, what: str = "") -> None:
        super().__init__(reason)
        self.reason, self.remedy, self.what = reason, remedy, what


class ConsequenceError(RefusalError):
    """A refusal that only follows from that of another node; it is recorded but not listed."""

    def __init__(self) -> None:
        super().__init__("", "")


class Report:
    """The refused nodes of one import, notes, notices and inserted roundings; only the first refusal of a node is listed."""

    def __init__(self, may_round: bool = False, attention: bool = False) -> None:
        self.may_round = may_round  # whether the user permits roundings; if not, remedies suggest it
        self.attention = attention  # whether the accelerator has the ATTENTION unit
        self._entries: dict[str, Unsupported] = {}
        self._refused: set[str] = set()  # outputs of refused nodes, those made by passes included
        self.notes: list[str] = []
        self.notices: list[str] = []
        self.inserted_roundings: list[InsertedRounding] = []

    def refuse(self, node: onnx.NodeProto, refusal: RefusalError) -> None:
        """Records that `node` cannot be compiled."""
        self._refused.update(name for name in node.output if name)
        if isinstance(refusal, ConsequenceError):
            return
        name = origin_name(node)
        entry = Unsupported(name, origin_operator(node), refusal.what, refusal.reason, refusal.remedy)
        self._entries.setdefault(name, entry)

    def refused(self, node: onnx.NodeProto) -> bool:
        """Whether `node` was refused, for a reason of its own or as a consequence."""
        return not self._refused.isdisjoint(node.output)

    @property
    def entries(self) -> list[Unsupported]:
        """The refused nodes, in the order in which they were found."""
        return list(self._entries.values())

    def close(self) -> None:
        """Raises `UnsupportedError` with all entries, if there are any."""
        if self._entries:
            raise UnsupportedError(self.entries)
