"""Long commands show their progress, short ones print nothing."""

import logging

from tempest_gym.commands import progress


def test_every_three_seconds_it_is_logged_how_many_items_were_taken(monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    times = iter([0.0, 1.0, 2.0, 3.5, 3.5, 4.0, 7.0, 7.0, 8.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(times))
    assert list(progress.with_progress("abcdef", 6000, "letters")) == list("abcdef")
    assert [record.message for record in caplog.records] == ["2 of 6,000 letters", "4 of 6,000 letters"]


def test_a_short_command_prints_nothing(caplog):
    caplog.set_level(logging.INFO)
    assert list(progress.with_progress(range(3), 3, "rounds")) == [0, 1, 2]
    assert caplog.records == []
