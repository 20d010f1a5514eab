"""The edge beside other servers: memory, connects, echo, broadcast, HTTP, garbage collection."""
