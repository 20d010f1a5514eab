"""Several processes that serve one node's clients."""
