"""AutoHeal: what a node sees, what it does about it, and why; `rules` has the table."""
