"""Programs prepared for fast execution: the same words as the emulator's, for whole batches at once."""

from arrayloom.sim.plan.feeds import PlanError
from arrayloom.sim.plan.plan import Plan
from arrayloom.sim.plan.products import Library

__all__ = ["Library", "Plan", "PlanError"]
