"""The application of a node: sessions, what they may ask, and what they are told."""
