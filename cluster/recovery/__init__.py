"""A cluster that lost its majority for good: what is left, what is chosen, how it goes on."""
