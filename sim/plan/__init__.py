"""Execution plans: programs prepared for fast execution of whole batches, with the same words as the emulator."""

from arrayloom.sim.plan.feeds import PlanError
from arrayloom.sim.plan.plan import Plan
from arrayloom.sim.plan.products import Library

__all__ = ["Library", "Plan", "PlanError"]
