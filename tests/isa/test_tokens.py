"""The matching of waits to the instructions that signal them."""

from arrayloom.isa.fields import Unit, Units, units_in
from arrayloom.isa.instructions import Convolve, Drain, End, LoadActivations, LoadWeights
from arrayloom.isa.tokens import NO_GIVER, token_givers


def test_tokens_are_matched_in_order() -> None:
    """LOAD gives two tokens, one to each Convolve; the second Convolve also waits for POST."""
    givers = token_givers([
        LoadActivations(signal=Units.ARRAY), LoadWeights(), Convolve(wait=Units.LOAD, first=1, last=1),
        Drain(signal=Units.ARRAY), LoadActivations(signal=Units.ARRAY, wait=Units.LOAD),
        Convolve(wait=Units.LOAD | Units.POST, first=1, last=1), Drain(), End()])
    assert givers[Unit.LOAD].tolist() == [-1, -1, 0, -1, 1, 4, -1, -1]     # the fence: the previous instruction
    assert givers[Unit.POST].tolist() == [-1, -1, -1, -1, -1, 3, -1, -1]


def test_a_token_that_nobody_gives_has_no_giver() -> None:
    givers = token_givers([LoadActivations(signal=Units.POST), Convolve(wait=Units.LOAD), Convolve(wait=Units.ARRAY),
                           LoadActivations(signal=Units.ARRAY), Convolve(wait=Units.LOAD)])
    assert givers[Unit.LOAD].tolist() == [NO_GIVER, 3, NO_GIVER, NO_GIVER, NO_GIVER]
    assert givers[Unit.ARRAY].tolist() == [NO_GIVER, NO_GIVER, 1, NO_GIVER, NO_GIVER]


def test_units_of_a_mask_are_in_the_order_of_their_bits() -> None:
    assert units_in(Units.STORE | Units.LOAD) == (Unit.LOAD, Unit.STORE)
    assert units_in(0) == ()
