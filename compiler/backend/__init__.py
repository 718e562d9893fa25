"""From the integer graph to a program: steps in the signed domain, layouts, placement, schedule, instructions."""
