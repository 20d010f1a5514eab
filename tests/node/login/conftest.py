"""Providers that are slow are given up soon."""

import pytest

from node.issuers import fetching, keys, provider


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "FETCH_S", 1.0)
    monkeypatch.setattr(provider, "PAUSE_S", 0.01)
    monkeypatch.setattr(keys, "WANTED_PAUSE_S", 0.01)
