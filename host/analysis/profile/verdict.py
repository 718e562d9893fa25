"""What the array's cycles were lost to, said in a few lines."""

from dataclasses import dataclass

from arrayloom.host.analysis.profile.profile import PARTIAL, Profile

CAUSES = 5      # lines, at most
LAYERS = 3      # layers named in a line, at most

TEXT = {
    PARTIAL: "computing with part of the multipliers",
    "weights": "waiting for weights",
    "activations": "waiting for activations",
    "token": "waiting for a token",
    "memory": "waiting for memory",
    "draining": "waiting for sums to drain",
    "idle": "without an instruction",
    "space": "waiting for room",
    "sums": "waiting for sums",
    "overhead": "filling and emptying the pipeline",
}


@dataclass(frozen=True)
class Loss:
    """Cycles of the array lost to one cause, and the layers that lost most of them, most first."""

    cause: str
    cycles: float
    layers: tuple[tuple[str, float], ...]

    @property
    def text(self) -> str:
        return describe(self.cause)


def describe(cause: str) -> str:
    """A key of ``lost`` in words."""
    name, of, unit = cause.partition(" of ")
    return TEXT[name] + of + unit


def losses(profile: Profile, causes: int = CAUSES, layers: int = LAYERS) -> list[Loss]:
    """The largest causes of lost array cycles."""
    result = []
    for cause, cycles in list(profile.lost.items())[:causes]:
        shares = sorted(((layer.name, layer.lost.get(cause, 0)) for layer in profile.layers), key=lambda item: -item[1])
        result.append(Loss(cause, cycles, tuple((name, share) for name, share in shares[:layers] if share > 0)))
    return result


def verdict(profile: Profile) -> list[str]:
    """The largest losses as lines for people."""
    lost = profile.cycles - profile.ideal_cycles
    lines = [f"Utilization {profile.utilization:.2%} of {profile.cycles:,} cycles; the array lost {lost:,.0f} cycles "
             f"({lost / profile.cycles:.2%}):"]
    for loss in losses(profile):
        where = ", ".join(f"{name} {cycles:,.0f}" for name, cycles in loss.layers)
        lines.append(f"  {loss.cycles:,.0f} ({loss.cycles / profile.cycles:.2%}) {loss.text}: {where}")
    return lines
