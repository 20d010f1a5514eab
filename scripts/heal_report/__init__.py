"""Every row of AutoHeal's table injected into real nodes, and what came of it; see `__main__`."""
