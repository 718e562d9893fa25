"""Each file here has PROOFS; every proof is checked, and must fail with every planted fault."""

import pytest


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per proof, and one per fault, of which only the first may be quick."""
    if not {"proof", "fault"} & set(metafunc.fixturenames):
        return
    proofs = metafunc.module.PROOFS
    if "fault" in metafunc.fixturenames:
        cases = [pytest.param(proof, fault, id=f"{proof.name}: {fault.name}",
                              marks=_slow(proof.slow or proof.slow_faults or number > 0))
                 for proof in proofs for number, fault in enumerate(proof.faults)]
        metafunc.parametrize(("proof", "fault"), cases)
    else:
        metafunc.parametrize("proof", [pytest.param(proof, id=proof.name, marks=_slow(proof.slow)) for proof in proofs])


def _slow(slow: bool) -> list[pytest.MarkDecorator]:
    return [pytest.mark.slow] if slow else []
