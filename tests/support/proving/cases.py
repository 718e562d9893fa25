"""The two tests of every proof; files with PROOFS import them."""

import json
import time
from collections.abc import Callable

from .faults import Fault
from .proof import Proof

Record = Callable[[str, object], None]


def test_it_holds(proof: Proof, record_property: Record) -> None:
    begin = time.perf_counter()
    record = {"name": proof.name, "unit": proof.unit, "claim": proof.claim, "method": proof.how, "solver": proof.solver,
              "depth": proof.depth, "result": "failed", "planted": len(proof.faults)}
    try:
        proof.check()
        record["result"] = proof.result
    finally:
        record_property("proof", json.dumps(record | {"seconds": round(time.perf_counter() - begin, 2)}))


def test_a_planted_fault_is_found(proof: Proof, fault: Fault, record_property: Record) -> None:
    caught = False
    try:
        caught = proof.fails_with(fault)
    finally:
        record_property("fault", json.dumps({"name": proof.name, "fault": fault.name, "caught": caught}))
    assert caught, f"{proof.name} succeeds although {fault}"
