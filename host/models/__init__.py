"""Networks: the five of the workflow, digits, and what makes and fits them."""
