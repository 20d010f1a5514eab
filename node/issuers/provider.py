"""An issuer's description of itself, kept.  Talks HTTP.

Asked for when it is first needed, and again every KEPT_S by `refresh`; what it said last counts
until it says something else.  Whoever needs it at the same time waits for the same request.
"""

import structlog
import trio

from node.client.http import Unreachable
from node.issuers.fetching import Fetcher
from node.issuers.metadata import Metadata, metadata_url, read_metadata

KEPT_S = 3600.0
PAUSE_S = 5.0
"""Between two attempts while it cannot be had."""

log = structlog.get_logger(__name__)


class Provider:
    """What one issuer says of itself."""

    def __init__(self, name: str, issuer: str, fetcher: Fetcher) -> None:
        self._name = name
        self._issuer = issuer
        self._fetcher = fetcher
        self._asking = trio.Lock()
        self._metadata: Metadata | None = None
        self._failed: Unreachable | None = None
        self._due_s = float("-inf")

    async def known(self) -> Metadata:
        """Return what it said last, at once if it ever did.  Raises `Unreachable`."""
        if self._metadata is None:
            await self.refresh()
        if self._metadata is None:
            assert self._failed is not None
            raise self._failed
        return self._metadata

    async def refresh(self) -> None:
        """Ask again if that is due; a failure is logged, and kept for whoever needs to know."""
        async with self._asking:
            if trio.current_time() >= self._due_s:
                await self._ask()

    async def _ask(self) -> None:
        url = metadata_url(self._issuer)
        try:
            self._metadata = read_metadata(await self._fetcher.get(url), self._issuer)
        except Unreachable as error:
            self._fail(error)
        except ValueError as error:
            self._fail(Unreachable(f"{url}: {error}"))
        else:
            self._failed, self._due_s = None, trio.current_time() + KEPT_S

    def _fail(self, why: Unreachable) -> None:
        if str(why) != str(self._failed):
            log.warning("provider not understood", issuer=self._name, why=str(why))
        self._failed, self._due_s = why, trio.current_time() + PAUSE_S
