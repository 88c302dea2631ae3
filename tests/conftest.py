"""What all tests share."""

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("no_clock", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no_clock")  # no test may depend on how busy the machine is


@pytest.fixture(autouse=True)
def _bundled_game(monkeypatch):
    """Tests run the bundled game, whatever ROM the developer uses."""
    monkeypatch.delenv("TEMPEST_ROM", raising=False)
