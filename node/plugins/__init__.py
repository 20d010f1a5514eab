"""What a node takes in from outside its own code; see `contract` and `loading`.  No I/O."""
