"""What the hardware does and costs: profile, exploration, synthesis."""
