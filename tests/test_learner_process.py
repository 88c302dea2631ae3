"""Learning in other processes equals learning in this one, and ends with the run however that ends."""

import multiprocessing
import threading

import numpy as np
import pytest
import torch

from tempest_rainbow.bench.learner import random_batch
from tempest_rainbow.config.settings import NETWORK_PRESETS, LearnerConfig, NetworkConfig
from tempest_rainbow.learner.learner import Learner, NotFiniteError
from tempest_rainbow.learner.processes import ProcessUpdater, make_learner
from tempest_rainbow.training.learner_loop import Drawn, Prefetch

NETWORK = NetworkConfig(
    trunk=(32,), head=16, encoder_size=16, atoms=21, action_factors=(4, 11), policy_head=True
)
CONFIG = LearnerConfig(
    learning_rate=1e-3, target_update_steps=3, publish_steps=2, precision="float32", imitation="policy"
)
WEIGHTS = {"imitation_weight": 0.3, "prior_weight": 0.5}


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """Add up in the same order in both processes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def apart(_one_thread):
    learner = Learner(NETWORK, CONFIG, 195, 44, seed=1, make_updater=ProcessUpdater)
    yield learner
    learner.close()
    learner.close()
    assert not [child for child in multiprocessing.active_children() if child.name in ("learner", "targets")]


def assert_equal_states(one, two):
    assert one["scalars"] == two["scalars"]
    assert one["tensors"].keys() == two["tensors"].keys()
    for name, tensor in one["tensors"].items():
        assert torch.equal(tensor, two["tensors"][name]), name


def test_it_learns_the_same_bit_for_bit(apart):
    here = Learner(NETWORK, CONFIG, 195, 44, seed=1)
    started = here.get_state()
    for seed in range(8):
        batch = random_batch(32 if seed < 6 else 16, seed)  # of another size too
        targets = here.target_distribution(batch, 0.5), apart.target_distribution(batch, 0.5)
        assert (targets[1] is None) == (seed == 0)  # only the first step chooses the precision
        if seed:
            assert torch.equal(*targets)
        mine = here.step(
            batch, learning_rate=1e-3 / (1 + seed), metrics=seed % 2 == 0, target=targets[0], **WEIGHTS
        )
        theirs = apart.step(
            batch, learning_rate=1e-3 / (1 + seed), metrics=seed % 2 == 0, target=targets[1], **WEIGHTS
        )
        np.testing.assert_array_equal(mine.priorities, theirs.priorities)
        assert mine.metrics == theirs.metrics
        for one, two in zip(
            here.act(batch.observations, 0.5), apart.act(batch.observations, 0.5), strict=True
        ):
            np.testing.assert_array_equal(one, two)
    assert_equal_states(here.get_state(), apart.get_state())
    for name, value in here.network.state_dict().items():
        assert torch.equal(value, apart.network.state_dict()[name])  # what is evaluated and saved

    for learner in (here, apart):
        learner.set_state(started)
        learner.step(random_batch(32, 9), **WEIGHTS)
    assert_equal_states(here.get_state(), apart.get_state())


def test_a_step_that_is_not_finite_is_reported_and_changes_nothing(apart):
    before = apart.get_state()
    batch = random_batch(32)
    batch.weights[3] = np.nan
    with pytest.raises(NotFiniteError, match=f"step {apart.steps + 1} "):
        apart.step(batch)
    assert_equal_states(before, apart.get_state())
    assert np.isfinite(apart.step(random_batch(32)).priorities).all()


def test_weights_stay_until_the_target_distributions_are_computed(apart):
    """The step continues after `before_update`; until then target distributions are those of the old weights."""
    apart.step(random_batch(32))
    before = apart.target_distribution(random_batch(32, 1), 0.5)
    during = []

    def note():
        during.append(apart.target_distribution(random_batch(32, 1), 0.5))

    apart.step(random_batch(32), learning_rate=0.3, before_update=note)
    assert torch.equal(before, during[0])
    assert not torch.equal(before, apart.target_distribution(random_batch(32, 1), 0.5))


def test_a_killed_process_fails_the_step_with_a_message():
    learner = Learner(NETWORK, CONFIG, 195, 44, make_updater=ProcessUpdater)
    try:
        learner.step(random_batch(32))
        for child in multiprocessing.active_children():
            if child.name == "learner" and child.pid == learner._updater._stepper._process.pid:
                child.kill()
                child.join()
        with pytest.raises(RuntimeError, match=r"the process learner has ended \(exit code -9\)"):
            learner.step(random_batch(32))
    finally:
        learner.close()


def test_only_large_networks_get_processes(monkeypatch):
    monkeypatch.setattr(
        "tempest_rainbow.learner.processes.Learner", lambda *_, make_updater, **__: make_updater
    )
    wanted = {"device": "cpu", "seed": 0, "deterministic": False, "processes": None}
    for cores, network, changes, expected in (
        (2, NETWORK_PRESETS["fast"], {}, True),
        (1, NETWORK_PRESETS["fast"], {}, False),
        (2, NETWORK, {}, False),
        (1, NETWORK, {"processes": True}, True),
        (2, NETWORK_PRESETS["fast"], {"processes": False}, False),
        (2, NETWORK_PRESETS["fast"], {"deterministic": True, "processes": True}, False),
    ):
        monkeypatch.setattr("tempest_rainbow.learner.processes.usable_cores", lambda cores=cores: cores)
        made = make_learner(network, LearnerConfig(), 195, 44, **{**wanted, **changes})
        assert (made is ProcessUpdater) == expected


def test_batches_arrive_in_order_each_once_and_errors_where_they_are_taken():
    drawn, threads, here = [], set(), threading.get_ident()

    def draw():
        threads.add(threading.get_ident())
        drawn.append(random_batch(1, len(drawn)))
        if len(drawn) == 6:
            raise OSError("no more")
        return Drawn(drawn[-1], None)

    prefetch = Prefetch(draw)
    assert prefetch.take().batch is drawn[0]  # none was started, so it was drawn here
    assert threads == {here}
    for number in (1, 2):
        prefetch.start()
        prefetch.wait()
        assert prefetch.take().batch is drawn[number]
    assert len(threads) == 2
    prefetch.start()
    prefetch.drop()
    assert prefetch.take().batch is drawn[4]
    prefetch.start()
    prefetch.wait()
    with pytest.raises(OSError, match="no more"):
        prefetch.take()
    prefetch.close()
