"""Analysis of the hardware: profile, exploration, synthesis."""
