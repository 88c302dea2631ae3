"""What all tests share."""

import json
import signal

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("no_clock", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no_clock")  # no test may depend on how busy the machine is

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background job: Ctrl-C would mean nothing
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # under nohup
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def _bundled_game(monkeypatch):
    """Tests run the bundled game, whatever ROM the developer uses."""
    monkeypatch.delenv("TEMPEST_ROM", raising=False)


def pytest_terminal_summary(terminalreporter):
    """Show the figures that tests measured (``record_property("figures", {...})``)."""
    for report in terminalreporter.stats.get("passed", []):
        for name, figures in report.user_properties:
            if name == "figures":
                terminalreporter.write_line(f"{report.nodeid}: {json.dumps(figures)}")
