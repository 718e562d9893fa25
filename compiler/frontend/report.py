"""Collecting everything that cannot be compiled, so that the user sees it all at once."""

import onnx

from arrayloom.compiler.errors import Unsupported, UnsupportedError


class RefusalError(Exception):
    """Raised where a rule meets something that cannot be compiled; the caller knows which node it was working on."""

    def __init__(self, reason: str, remedy: str, what: str = "") -> None:
        super().__init__(reason)
        self.reason, self.remedy, self.what = reason, remedy, what


def node_name(node: onnx.NodeProto) -> str:
    """The node's name, or its first output where it has none."""
    return node.name or node.output[0]


def operator_name(node: onnx.NodeProto) -> str:
    """The operator, with its domain where it is not ONNX's own."""
    return f"{node.domain}.{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type


class ConsequenceError(RefusalError):
    """A refusal that only follows from another node's: it is remembered, and not listed."""

    def __init__(self) -> None:
        super().__init__("", "")


class Report:
    """The refused nodes of one import; the first refusal of a node stands."""

    def __init__(self) -> None:
        self._entries: dict[str, Unsupported] = {}
        self._consequences: set[str] = set()
        self.notes: list[str] = []

    def refuse(self, node: onnx.NodeProto, refusal: RefusalError) -> None:
        """Record that `node` cannot be compiled."""
        name = node_name(node)
        if isinstance(refusal, ConsequenceError):
            self._consequences.add(name)
            return
        entry = Unsupported(name, operator_name(node), refusal.what, refusal.reason, refusal.remedy)
        self._entries.setdefault(name, entry)

    def refused(self, node: onnx.NodeProto) -> bool:
        """Whether `node` cannot be compiled, on its own account or as a consequence."""
        return node_name(node) in self._entries or node_name(node) in self._consequences

    def close(self) -> None:
        """Raise UnsupportedError with every entry, if there is any."""
        if self._entries:
            raise UnsupportedError(list(self._entries.values()))
