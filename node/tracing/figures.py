"""How the export of spans goes.  No I/O."""

import msgspec


class TracingFigures(msgspec.Struct, frozen=True):
    """Totals of one process, or of several."""

    exported: int = 0
    """Spans that the collector took."""
    dropped: int = 0
    """Spans for which the queue had no room."""
    failed: int = 0
    """Spans that the collector did not take."""

    def plus(self, other: "TracingFigures") -> "TracingFigures":
        """Return what both count."""
        return TracingFigures(
            self.exported + other.exported,
            self.dropped + other.dropped,
            self.failed + other.failed,
        )
