"""Schedules against closed forms, and the two of them that keep state."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tempest_rainbow.config.schedules import (
    DESCENT,
    BetaSchedule,
    EpsilonSchedule,
    ExpertSchedule,
    ImitationSchedule,
    LearningRateSchedule,
    by_state,
    cosine,
    linear,
)
from tempest_rainbow.training.clock import Ending, Timetable
from tempest_rainbow.training.steered_schedules import EpsilonPulse, Standing

numbers = st.floats(-10, 10)


@given(numbers, numbers, st.integers(1, 10**7), st.floats(0, 1))
def test_linear_is_the_weighted_mean_of_its_ends(start, end, duration, share):
    assert linear(start, end, duration, share * duration) == pytest.approx(
        np.interp(share * duration, [0, duration], [start, end]), abs=1e-9
    )


@given(numbers, numbers, st.integers(1, 10**7), st.floats(0, 5))
def test_linear_and_cosine_stay_between_their_ends_and_keep_the_last(start, end, duration, times):
    for schedule in (linear, cosine):
        value = schedule(start, end, duration, times * duration)
        assert min(start, end) - 1e-9 <= value <= max(start, end) + 1e-9
        if times >= 1:
            assert value == end


def test_no_duration_is_the_end_at_once():
    assert linear(1.0, 0.25, 0, 0) == cosine(1.0, 0.25, 0, 0) == 0.25


def test_original_epsilon_and_expert_ratio():
    epsilon, expert = EpsilonSchedule(), ExpertSchedule()
    assert epsilon.value(0) == 1.0
    assert epsilon.value(250_000) == pytest.approx(0.505)
    assert epsilon.value(500_000) == epsilon.value(10**9) == 0.01
    assert expert.value(0) == 0.5
    assert expert.value(2_500_000) == pytest.approx(0.26)
    assert expert.value(5_000_000) == 0.02


def test_in_the_descent_the_expert_is_asked_twice_as_often_and_epsilon_is_a_fifth():
    states = np.array([0x04, DESCENT, 0x04, DESCENT])
    np.testing.assert_allclose(
        by_state(0.5, EpsilonSchedule().descent_factor, states, 4), [0.5, 0.1, 0.5, 0.1]
    )
    np.testing.assert_allclose(
        by_state(0.3, ExpertSchedule().descent_factor, states, 4), [0.3, 0.6, 0.3, 0.6]
    )
    np.testing.assert_allclose(
        by_state(0.8, ExpertSchedule().descent_factor, states, 4), [0.8, 1.0, 0.8, 1.0]
    )
    np.testing.assert_allclose(by_state(0.5, EpsilonSchedule().descent_factor, None, 4), 0.5)


def test_imitation_follows_how_far_the_student_is_behind():
    schedule = ImitationSchedule(start=2.0, end=0.1, frames=1000, mode="behind")
    assert schedule.value(0, standing=0.0) == 2.0
    assert schedule.value(0, standing=0.75) == pytest.approx(0.5)
    assert schedule.value(0, standing=1.0) == schedule.value(0, standing=3.0) == 0.1
    assert schedule.value(500, standing=0.0) == pytest.approx(1.05), "the line over frames is an upper bound"
    assert ImitationSchedule(start=2.0, end=0.0, frames=1000).value(250, standing=9.0) == 1.5


def test_learning_rate_warms_up_in_a_line_then_follows_a_cosine():
    schedule = LearningRateSchedule(warmup_steps=10, decay_steps=100, final_fraction=0.2)
    assert [schedule.value(step, 1.0) for step in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    for step in range(10, 110):
        expected = 0.2 + 0.8 * 0.5 * (1 + math.cos(math.pi * (step - 10) / 100))
        assert schedule.value(step, 1.0) == pytest.approx(expected)
    assert schedule.value(110, 1.0) == schedule.value(10**6, 1.0) == 0.2
    assert LearningRateSchedule().value(12345, 3e-4) == 3e-4


def test_learning_rate_may_fall_over_the_whole_run():
    schedule = LearningRateSchedule(warmup_steps=10, decay_steps=7, over_run=True, final_fraction=0.2)
    assert schedule.value(4, 1.0, 0.9) == pytest.approx(0.5), "the warm-up goes by steps"
    assert [schedule.value(10, 1.0, share) for share in (0.0, 0.5, 1.0)] == pytest.approx([1.0, 0.6, 0.2])
    assert schedule.value(10**6, 1.0) == 1.0, "a run without an end"


@pytest.mark.parametrize(
    ("frames", "minutes", "progress"),
    [(None, None, math.nan), (400, None, 0.25), (None, 10.0, 0.5), (400, 10.0, 0.5), (50, 10.0, 1.0)],
)
def test_progress_is_that_of_whatever_ends_the_run_first(frames, minutes, progress):
    share = Ending(frames, minutes, None).progress(100, 300.0)
    assert share == pytest.approx(progress, nan_ok=True)


def test_beta_goes_to_one():
    assert [BetaSchedule(0.4, 1.0, 100).value(frames) for frames in (0, 50, 100, 200)] == pytest.approx(
        [0.4, 0.7, 1.0, 1.0]
    )


def test_a_pulse_lasts_its_frames_and_survives_a_save():
    pulse = EpsilonPulse(EpsilonSchedule(pulse_frames=100))
    assert not pulse.active(50)
    pulse.start(60)
    assert pulse.active(60)
    assert pulse.active(159)
    again = EpsilonPulse(EpsilonSchedule(pulse_frames=100))
    again.set_state(pulse.get_state())
    assert again.active(159)
    assert not again.active(160)


def test_automatic_pulses_start_only_after_epsilon_has_reached_its_end():
    schedule = EpsilonSchedule(frames=1000, pulse_frames=10, pulse_every=100)
    pulse = EpsilonPulse(schedule)
    active = [frames for frames in range(1500) if pulse.active(frames)]
    assert active == [base + i for base in (1100, 1200, 1300, 1400) for i in range(10)]


@given(st.lists(st.tuples(st.floats(0, 1e6), st.booleans()), max_size=60))
def test_standing_is_the_ratio_of_the_means_of_the_last_episodes(episodes):
    standing = Standing(window=8, least=2)
    for score, by_expert in episodes:
        standing.add(score, by_expert=by_expert)
    student = [score for score, by_expert in episodes if not by_expert][-8:]
    teacher = [score for score, by_expert in episodes if by_expert][-8:]
    if min(len(student), len(teacher)) < 2 or sum(teacher) <= 0:
        assert standing.ratio == 0.0
    else:
        assert standing.ratio == pytest.approx(np.mean(student) / np.mean(teacher))
    again = Standing(window=8, least=2)
    again.set_state(standing.get_state())
    assert again.ratio == standing.ratio


def test_timetable_by_frames_is_due_once_at_every_multiple():
    agenda = Timetable(0, 100, 0.0, 250)
    assert [frames for frames in range(250, 700, 10) if agenda.due(0.0, frames)] == [300, 400, 500, 600]


def test_timetable_by_time_counts_from_when_it_was_done():
    agenda = Timetable(10.0, 0, 5.0, 0)
    assert [seconds for seconds in range(5, 60) if agenda.due(seconds, 10**9)] == [15, 25, 35, 45, 55]
    assert not any(Timetable(0, 0, 0.0, 0).due(1e9, 10**9) for _ in range(3))
