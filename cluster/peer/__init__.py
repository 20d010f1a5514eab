"""The links between the nodes of one cluster."""
