"""Real nodes under random faults, under load, for a given time; see `__main__`."""
