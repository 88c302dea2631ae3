"""What all tests share."""

import pytest


@pytest.fixture(autouse=True)
def _bundled_game(monkeypatch):
    """Tests run the bundled game, whatever ROM the developer uses."""
    monkeypatch.delenv("TEMPEST_ROM", raising=False)
