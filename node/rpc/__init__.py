"""A second edge: the operations and events by gRPC."""
