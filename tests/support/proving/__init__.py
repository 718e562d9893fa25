"""Proofs about units of the accelerator: harnesses of claims in Amaranth, decided by an SMT solver through yosys-smtbmc."""

from .faults import Fault
from .harness import Harness, Inside
from .proof import Method, Proof, ProofError

__all__ = ["Fault", "Harness", "Inside", "Method", "Proof", "ProofError"]
