"""A cluster on loopback with scripted visitors and agents, for newcomers to watch."""
