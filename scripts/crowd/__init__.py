"""Very many clients of a desk in a few processes: for what only a crowd shows."""
