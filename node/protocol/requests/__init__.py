"""What clients may ask, by subject; `node.protocol.catalogue` puts them together.  No I/O."""
