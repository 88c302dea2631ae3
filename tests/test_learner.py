"""The learner: its step against the textbook, learning itself, failing safely, and surviving being saved."""

from __future__ import annotations

import dataclasses
import logging
import threading

import numpy as np
import pytest
import torch

from tempest_rainbow.bench.reference import PlainLearner
from tempest_rainbow.config.settings import NETWORK_PRESETS, LearnerConfig, NetworkConfig
from tempest_rainbow.device import choose_device
from tempest_rainbow.learner.learner import Learner, NotFiniteError
from tempest_rainbow.learner.loss import rainbow_loss
from tempest_rainbow.networks import categorical
from tempest_rainbow.replay.batch import Batch

TINY = NetworkConfig(
    encoder="none", trunk=(24, 24), head=16, atoms=21, value_min=-10, value_max=10, policy_head=True
)


@pytest.fixture(autouse=True)
def _one_thread():
    """Networks this small only lose by more threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make_batch(size: int, observation_size: int, actions: int, seed: int = 0, half: bool = False) -> Batch:
    rng = np.random.default_rng(seed)
    dtype = np.float16 if half else np.float32
    return Batch(
        observations=rng.uniform(-1, 1, (size, observation_size)).astype(dtype),
        actions=rng.integers(0, actions, size),
        returns=rng.uniform(-3, 3, size).astype(np.float32),
        discounts=(0.9 * rng.integers(0, 2, size)).astype(np.float32),
        next_observations=rng.uniform(-1, 1, (size, observation_size)).astype(dtype),
        expert_actions=rng.integers(-1, actions, size),
        actors=np.zeros(size, np.uint8),
        weights=rng.uniform(0.3, 1, size).astype(np.float32),
        imitation_weights=np.ones(size, np.float32),
        indices=np.arange(size),
        stamps=np.arange(size),
    )


def learner(config: LearnerConfig | None = None, network: NetworkConfig = TINY, **more) -> Learner:
    config = config or LearnerConfig(learning_rate=1e-3, target_update_steps=5, publish_steps=1)
    return Learner(network, config, 4, 3, **{"deterministic": True, **more})


def weights_of(network: torch.nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()]).clone()


def test_a_step_is_the_textbook_step():
    """Folding, shortcuts, fused clipping and optimiser against stock modules with the same weights."""
    config = LearnerConfig(learning_rate=1e-3, imitation="none", gradient_clip=0.2, target_update_steps=1000)
    mine = Learner(NETWORK_PRESETS["original"], config, 195, 44, deterministic=True)
    plain = PlainLearner(mine.network, 1e-3, config.adam_epsilon, config.gradient_clip)
    for seed in range(3):
        batch = make_batch(32, 195, 44, seed)
        expected = plain.step(
            *(
                torch.from_numpy(getattr(batch, name))
                for name in (
                    "observations",
                    "actions",
                    "returns",
                    "discounts",
                    "next_observations",
                    "weights",
                )
            )
        )
        result = mine.step(batch, metrics=True)
        loss = float((expected * torch.from_numpy(batch.weights)).mean())
        assert result.metrics["value_loss"] == pytest.approx(loss, rel=1e-4)
    inputs = torch.from_numpy(batch.observations)
    torch.testing.assert_close(mine.network(inputs), plain.online(inputs), atol=2e-4, rtol=1e-3)


def test_targets_are_double_q_targets_by_hand():
    """The online network chooses, the target network evaluates; terminated samples end at their return."""
    subject = learner(LearnerConfig(imitation="none"))
    with torch.no_grad():
        for parameter in subject.target.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    batch = make_batch(12, 4, 3)
    result = subject.step(batch)
    torch.manual_seed(0)
    fresh = learner(LearnerConfig(imitation="none"))
    s_tm1, s_t = torch.from_numpy(batch.observations), torch.from_numpy(batch.next_observations)
    support = fresh.network.head.support.double().numpy()
    online_t = torch.softmax(fresh.network(s_t).double(), -1).detach().numpy()
    target_t = torch.softmax(subject.target(s_t).double(), -1).detach().numpy()
    predicted = torch.log_softmax(fresh.network(s_tm1).double(), -1).detach().numpy()
    for i in range(12):
        best = int((online_t[i] @ support).argmax())
        target = np.zeros(len(support))
        for probability, atom in zip(target_t[i, best], support, strict=True):
            place = (np.clip(batch.returns[i] + batch.discounts[i] * atom, -10, 10) + 10) / 1.0
            low = min(int(place), len(support) - 2)
            target[low] += probability * (low + 1 - place)
            target[low + 1] += probability * (place - low)
        positive = target > 1e-12
        divergence = (
            target[positive] * (np.log(target[positive]) - predicted[i, batch.actions[i]][positive])
        ).sum()
        assert result.priorities[i] == pytest.approx(divergence, abs=1e-4)


@pytest.mark.parametrize("imitation", ["policy", "margin", "softmax"])
def test_imitation_learns_the_advice(imitation):
    subject = learner(LearnerConfig(learning_rate=3e-3, imitation=imitation, target_update_steps=50))
    batch = make_batch(64, 4, 3, seed=2)
    batch.expert_actions[:] = (batch.observations[:, 0] > 0) + (batch.observations[:, 1] > 0)
    batch.returns[:] = 0.0
    batch.discounts[:] = 0.0
    first = subject.step(batch, imitation_weight=1.0, metrics=True).metrics
    for _ in range(150):
        last = subject.step(batch, imitation_weight=1.0, metrics=True).metrics
    assert last["imitation_loss"] < 0.6 * first["imitation_loss"]
    assert last["agreement"] > 0.85


def test_improvement_teaches_the_policy_what_the_returns_say():
    """A bandit: action 2 pays most; the policy head learns it without any advice, once imitation has ended."""
    config = LearnerConfig(learning_rate=3e-3, imitation="policy", improvement=1.0, target_update_steps=10)
    batch = make_batch(60, 4, 3)
    batch.expert_actions[:] = 0
    batch.actions[:] = np.arange(60) % 3
    batch.returns[:] = batch.actions - 1.0
    batch.discounts[:] = 0.0
    inputs = torch.from_numpy(batch.observations)
    shares = {}
    for imitation_weight in (0.0, 1.0):
        subject = learner(config)
        for _ in range(200):
            subject.step(batch, imitation_weight=imitation_weight)
        policy = torch.softmax(subject.network.policy_logits(subject.network.features(inputs)), -1)
        shares[imitation_weight] = policy.mean(0).tolist()
    assert shares[0.0][2] > 0.9
    assert shares[1.0][0] > 0.9


def test_a_prior_in_the_target_makes_it_suppose_what_the_policy_would_do():
    subject, fresh = learner(LearnerConfig(imitation="policy")), learner(LearnerConfig(imitation="policy"))
    with torch.no_grad():
        for parameter in subject.target.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
        subject.network.policy_out.bias[:] = torch.tensor([0.0, 0.0, 90.0])
    batch = make_batch(12, 4, 3)
    result = subject.step(batch, prior_weight=10.0)
    with torch.no_grad():
        s_t, s_tm1 = torch.from_numpy(batch.next_observations), torch.from_numpy(batch.observations)
        target = categorical.project(
            torch.softmax(subject.target(s_t)[:, 2], -1),
            torch.from_numpy(batch.returns),
            torch.from_numpy(batch.discounts),
            subject.network.head.support,
        )
        taken = fresh.network(s_tm1)[torch.arange(12), torch.from_numpy(batch.actions)]
        _, expected = categorical.categorical_loss(taken, target)
    np.testing.assert_allclose(result.priorities, expected.numpy(), atol=1e-4)


def test_samples_without_weight_or_advice_teach_no_imitation():
    subject = learner()
    batch = make_batch(16, 4, 3)
    batch.imitation_weights[:8] = 0.0
    batch.expert_actions[8:] = -1
    assert subject.step(batch, imitation_weight=1.0, metrics=True).metrics["imitation_loss"] == 0.0


@pytest.mark.parametrize("munchausen", [False, True])
def test_values_converge_on_a_known_chain(munchausen):
    """Two states, each leading to the other; action 1 pays 1 in state 0. By hand: the optimal Q."""
    gamma = 0.5
    config = LearnerConfig(
        learning_rate=3e-3,
        imitation="none",
        target_update_steps=20,
        munchausen=munchausen,
        munchausen_alpha=0.0,
    )
    subject = learner(config, dataclasses.replace(TINY, value_min=-3, value_max=3, atoms=31))
    states = np.array([[1, 0, 0, 0], [0, 1, 0, 0]], np.float32)
    batch = make_batch(60, 4, 3)
    which = np.arange(60) % 2
    batch.actions[:] = np.arange(60) // 2 % 3
    batch.observations[:] = states[which]
    batch.next_observations[:] = states[1 - which]
    batch.returns[:] = (which == 0) & (batch.actions == 1)
    batch.discounts[:] = gamma
    batch.weights[:] = 1.0
    for _ in range(400):
        subject.step(batch)
    subject.publish()
    _, q = subject.act(states)
    best = 1 / (1 - gamma**2)
    expected = np.array([[best - 1, best, best - 1], [gamma * best] * 3])
    np.testing.assert_allclose(q, expected, atol=0.12)


def test_the_gradient_is_clipped_to_the_norm():
    """Adam hides the gradient's length, but its first moment after one step shows what was applied."""
    subject = learner(LearnerConfig(gradient_clip=0.05, imitation="none"))
    batch = make_batch(32, 4, 3)
    assert subject.step(batch, metrics=True).metrics["gradient_norm"] > 0.05
    first_moments = [value for name, value in subject.get_state()["tensors"].items() if ".exp_avg." in name]
    norm = torch.cat([moment.flatten() for moment in first_moments]).norm()
    # After one step the first moment is (1 - beta1) times the gradient that was applied.
    assert float(norm) == pytest.approx(0.1 * 0.05, rel=1e-3)


def test_the_target_follows_at_its_steps_only():
    subject = learner(LearnerConfig(learning_rate=1e-2, target_update_steps=3, imitation="none"))
    start = weights_of(subject.target)
    for step in range(1, 7):
        subject.step(make_batch(8, 4, 3, seed=step))
        if step % 3 == 0:
            assert torch.equal(weights_of(subject.target), weights_of(subject.network))
            start = weights_of(subject.target)
        else:
            assert torch.equal(weights_of(subject.target), start)


def test_polyak_averages_the_target():
    subject = learner(LearnerConfig(learning_rate=1e-2, target_polyak=0.25, imitation="none"))
    before = weights_of(subject.target)
    subject.step(make_batch(8, 4, 3))
    torch.testing.assert_close(weights_of(subject.target), 0.75 * before + 0.25 * weights_of(subject.network))


def test_acting_uses_the_published_weights():
    subject = learner(LearnerConfig(learning_rate=1e-2, publish_steps=4, imitation="none"))
    observations = make_batch(5, 4, 3).observations
    _, start = subject.act(observations)
    for step in range(4):
        _, q = subject.act(observations)
        np.testing.assert_array_equal(q, start)
        subject.step(make_batch(8, 4, 3, seed=step))
    actions, q = subject.act(observations)
    expected = subject.network.q_values(torch.from_numpy(observations)).detach().numpy()
    np.testing.assert_allclose(q, expected, atol=1e-5)
    np.testing.assert_array_equal(actions, q.argmax(1))
    assert np.abs(q - start).max() > 1e-3


def test_a_prior_leans_towards_the_imitated_policy():
    subject = learner()
    with torch.no_grad():
        subject.network.policy_out.bias[:] = torch.tensor([0.0, 50.0, 0.0])
    subject.publish()
    observations = make_batch(5, 4, 3).observations
    actions, q = subject.act(observations, prior_weight=10.0)
    assert (actions == 1).all()
    np.testing.assert_array_equal(q, subject.act(observations)[1], "the prior is not part of the returns")
    features = subject.network.features(torch.from_numpy(observations))
    preferences = subject.network.preferences(features, torch.from_numpy(q), 0.1).detach().numpy()
    assert (preferences[:, 1] > q[:, 1] - 1e-3).all()
    assert (preferences[:, 0] < q[:, 0] - 1).all()


@pytest.mark.parametrize("count", [1, 2, 64])
def test_acting_on_few_or_many_is_the_same(count):
    for preset in ("original", "fast"):
        subject = Learner(NETWORK_PRESETS[preset], LearnerConfig(imitation="none"), 195, 44)
        observations = make_batch(64, 195, 44).observations
        _, whole = subject.act(observations)
        np.testing.assert_allclose(subject.act(observations[:count])[1], whole[:count], atol=2e-4)


def test_a_step_that_is_not_finite_changes_nothing():
    subject = learner()
    for seed in range(3):
        subject.step(make_batch(8, 4, 3, seed=seed))
    before = subject.get_state()
    bad = make_batch(8, 4, 3)
    bad.observations[3, 2] = np.nan
    with pytest.raises(NotFiniteError, match="learner step 4 is not finite") as caught:
        subject.step(bad, imitation_weight=1.0)
    assert caught.value.step == 4
    after = subject.get_state()
    assert after["scalars"] == before["scalars"]
    for name, value in before["tensors"].items():
        assert torch.equal(after["tensors"][name], value), name
    subject.step(make_batch(8, 4, 3))


def test_same_seed_same_weights():
    runs = []
    for seed in (3, 3, 4):
        subject = learner(seed=seed)
        for step in range(8):
            subject.step(make_batch(16, 4, 3, seed=step, half=True), imitation_weight=0.5)
        runs.append(weights_of(subject.network))
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_drawing_weights_leaves_the_global_generator_alone():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    learner()
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("steps_before", [0, 4])
def test_saved_restored_continued_is_never_interrupted(steps_before):
    config = LearnerConfig(learning_rate=1e-2, target_update_steps=3, publish_steps=2)
    one, two = learner(config), learner(config, seed=9)
    for seed in range(steps_before):
        one.step(make_batch(8, 4, 3, seed=seed), learning_rate=2e-3, imitation_weight=0.5)
    state = one.get_state()
    for seed in range(20, 25):
        one.step(make_batch(8, 4, 3, seed=seed))
    two.step(make_batch(8, 4, 3))
    two.set_state(state)
    observations = make_batch(5, 4, 3).observations
    for seed in range(20, 25):
        two.step(make_batch(8, 4, 3, seed=seed))
    assert torch.equal(weights_of(one.network), weights_of(two.network))
    assert torch.equal(weights_of(one.target), weights_of(two.target))
    np.testing.assert_array_equal(one.act(observations)[1], two.act(observations)[1])
    assert one.steps == two.steps == steps_before + 5


def test_a_state_of_another_network_is_refused():
    other = learner(network=dataclasses.replace(TINY, head=8))
    with pytest.raises(ValueError, match="of another network"):
        other.set_state(learner().get_state())


def test_acting_beside_learning_is_safe():
    subject = learner(LearnerConfig(learning_rate=1e-3, publish_steps=1))
    observations = make_batch(64, 4, 3).observations
    failures: list[Exception] = []
    stop = threading.Event()

    def act() -> None:
        try:
            while not stop.is_set():
                actions, q = subject.act(observations)
                assert np.isfinite(q).all()
                assert (q.argmax(1) == actions).all()
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=act)
    thread.start()
    for seed in range(60):
        subject.step(make_batch(16, 4, 3, seed=seed))
    stop.set()
    thread.join()
    assert not failures


def test_reduced_precision_stays_near():
    exact = Learner(NETWORK_PRESETS["fast"], LearnerConfig(precision="float32", compile="off"), 195, 44)
    reduced = Learner(NETWORK_PRESETS["fast"], LearnerConfig(precision="bfloat16", compile="off"), 195, 44)
    for seed in range(3):
        batch = make_batch(64, 195, 44, seed)
        one = exact.step(batch, imitation_weight=1.0, metrics=True)
        two = reduced.step(batch, imitation_weight=1.0, metrics=True)
    assert two.metrics["value_loss"] == pytest.approx(one.metrics["value_loss"], rel=0.05)
    assert two.metrics["imitation_loss"] == pytest.approx(one.metrics["imitation_loss"], rel=0.05)
    assert all(parameter.dtype == torch.float32 for parameter in reduced.network.parameters())


def test_the_loss_does_not_depend_on_kernels_or_stock_operations(monkeypatch):
    subject = Learner(
        NETWORK_PRESETS["original"], LearnerConfig(imitation="none"), 195, 44, deterministic=True
    )
    transitions = subject._updater._transitions(make_batch(16, 195, 44), 0.0, 0.0)
    one = rainbow_loss(subject.network, subject.target, subject.config, transitions)
    monkeypatch.setattr("tempest_rainbow.networks.kernels.usable", lambda _: False)
    two = rainbow_loss(subject.network, subject.target, subject.config, transitions)
    torch.testing.assert_close(one.total, two.total)
    torch.testing.assert_close(one.priorities, two.priorities, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("network", "config", "words"),
    [
        (dataclasses.replace(TINY, policy_head=False), LearnerConfig(imitation="policy"), "policy_head"),
        (
            dataclasses.replace(TINY, policy_head=False),
            LearnerConfig(imitation="none", improvement=1.0),
            "improvement needs",
        ),
        (TINY, LearnerConfig(improvement_temperature=0.0), "improvement_temperature"),
        (TINY, LearnerConfig(gradient_clip=0.0), "gradient_clip"),
        (TINY, LearnerConfig(target_polyak=1.5), "target_polyak"),
        (TINY, LearnerConfig(munchausen_temperature=0.0), "temperatures"),
    ],
)
def test_impossible_settings_are_refused(network, config, words):
    with pytest.raises(ValueError, match=words):
        Learner(network, config, 4, 3)


def test_a_device_that_is_not_there_is_named():
    assert choose_device("cpu").type == "cpu"
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="no CUDA device"):
            choose_device("cuda")
    assert choose_device("auto").type in ("cpu", "cuda", "mps")


def test_a_compiler_that_fails_is_reported_and_the_step_stays_uncompiled(monkeypatch, caplog):
    def broken(*_args, **_keywords):
        raise RuntimeError("no compiler here")

    monkeypatch.setattr(torch, "compile", broken)
    with caplog.at_level(logging.WARNING):
        subject = learner(LearnerConfig(compile="on"), deterministic=False)
        subject.step(make_batch(8, 4, 3))
    assert "no compiler here" in caplog.text
    assert subject.steps == 1


@pytest.mark.slow
def test_the_compiled_step_is_the_same_step():
    config = LearnerConfig(compile="on", precision="float32", learning_rate=1e-3)
    compiled = Learner(NETWORK_PRESETS["fast"], config, 195, 44)
    plain = Learner(NETWORK_PRESETS["fast"], dataclasses.replace(config, compile="off"), 195, 44)
    for seed in range(3):
        batch = make_batch(32, 195, 44, seed)
        one = compiled.step(batch, imitation_weight=1.0)
        two = plain.step(batch, imitation_weight=1.0)
        np.testing.assert_allclose(one.priorities, two.priorities, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(weights_of(compiled.network), weights_of(plain.network), atol=1e-4, rtol=1e-2)
