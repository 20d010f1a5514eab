"""What all nodes agree on: commands, state machine, routing, consensus."""
