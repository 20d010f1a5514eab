"""Where two nodes listen."""

import pytest

from cluster.peer.address import Address
from tests.cluster.peer.linked import free_address


@pytest.fixture
async def addresses() -> dict[str, Address]:
    return {"n1": free_address(), "n2": free_address()}
