"""One node's process replaced by another, with its sockets and without a pause that is felt."""
