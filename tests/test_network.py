"""The network: its size, its encoder against the textbook, its shortcuts against the whole."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from tempest_gym.features import FEATURE_COUNT, FEATURES
from tempest_rainbow.bench.reference import PlainNetwork
from tempest_rainbow.config.settings import NETWORK_PRESETS, NetworkConfig
from tempest_rainbow.networks import kernels as cpu_kernels
from tempest_rainbow.networks import lane_encoder
from tempest_rainbow.networks.lane_encoder import LAYOUT, LaneEncoder
from tempest_rainbow.networks.rainbow import RainbowNetwork


@pytest.fixture(autouse=True)
def _one_thread():
    """Networks this small only lose by more threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def observations(count: int, seed: int = 0, **changes) -> torch.Tensor:
    """Random observations in range, about half of the slots used, half of the tubes open."""
    rng = np.random.default_rng(seed)
    values = rng.uniform(-1, 1, (count, 195)).astype(np.float32)
    values[:, LAYOUT["player_lane"]] = rng.integers(0, 16, (count, 1)) / 15
    values[:, LAYOUT["open"]] = rng.integers(0, 2, (count, 1))
    values[:, LAYOUT["enemy_depth"]] = rng.uniform(0.06, 0.94, (count, 7)) * rng.integers(0, 2, (count, 7))
    for name, value in changes.items():
        values[:, LAYOUT[name]] = value
    return torch.from_numpy(values)


def test_the_original_preset_has_934071_parameters():
    network = RainbowNetwork(NETWORK_PRESETS["original"], 195, 44)
    assert sum(parameter.numel() for parameter in network.parameters()) == 934_071
    encoder = network.encoder
    assert sum(parameter.numel() for parameter in encoder.parameters()) == 69_504
    assert network(observations(3)).shape == (3, 44, 51)


def test_the_layout_is_that_of_the_features():
    assert {name: FEATURES[name] for name in LAYOUT} == LAYOUT
    assert FEATURE_COUNT == lane_encoder.OBSERVATION_SIZE


@pytest.mark.parametrize("seed", range(3))
def test_folding_is_the_textbook_block_with_its_gradients(seed):
    torch.manual_seed(seed)
    encoder = LaneEncoder(32, 4)
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    inputs, weights = observations(40, seed), torch.randn(40, 32)
    parameters = list(encoder.parameters())
    mine, theirs = encoder(inputs), encoder.forward_textbook(inputs)
    torch.testing.assert_close(mine, theirs, atol=2e-5, rtol=1e-4)
    gradients = torch.autograd.grad((mine * weights).sum(), parameters)
    expected = torch.autograd.grad((theirs * weights).sum(), parameters)
    for one, two in zip(gradients, expected, strict=True):
        torch.testing.assert_close(one, two, atol=2e-3, rtol=2e-3)


def test_a_frozen_encoder_computes_the_same():
    network = RainbowNetwork(NETWORK_PRESETS["fast"], 195, 44)
    inputs = observations(5)
    with torch.no_grad():
        before = network(inputs), network.attention(inputs)
        network.encoder.freeze()
        torch.testing.assert_close((network(inputs), network.attention(inputs)), before, atol=0, rtol=0)


def test_unused_slots_do_not_matter():
    network = RainbowNetwork(NetworkConfig(encoder_size=16, encoder_heads=2, trunk=(8,)), 195, 44)
    one = observations(20)
    two = one.clone()
    unused = (one[:, LAYOUT["enemy_depth"]] == 0).numpy()
    for name in ("enemy_lane", "rim_lane", "top_lane", "lane_change", "depth_change"):
        part = two[:, LAYOUT[name]].numpy()
        part[unused] = 0.77
    torch.testing.assert_close(network.encoder(one), network.encoder(two))
    weights = network.attention(one)
    assert weights.shape == (20, 2, 16, 7)
    assert (weights.transpose(1, 3)[torch.from_numpy(unused)] == 0).all()
    some = ~torch.from_numpy(unused).all(1)
    torch.testing.assert_close(weights[some].sum(3), torch.ones(int(some.sum()), 2, 16))


def test_an_empty_tube_gives_finite_values():
    network = RainbowNetwork(NETWORK_PRESETS["fast"], 195, 44)
    inputs = observations(4, enemy_depth=0.0)
    assert torch.isfinite(network(inputs)).all()
    assert (network.attention(inputs) == 0).all()
    torch.testing.assert_close(network.encoder(inputs), network.encoder.forward_textbook(inputs))


def test_lane_values_follow_the_facts():
    inputs = observations(2, player_lane=14 / 15, open=0.0)
    inputs[1, LAYOUT["open"]] = 1.0
    lanes, _, exists, _ = lane_encoder.lane_and_enemy_values(inputs)
    # Closed: from lane 14, lane 0 is 2 ahead, lane 6 is 8 away. Open: lane 0 is 14 behind, 15 is not there.
    assert (8 * lanes[0, 3, [0, 6, 13, 14]]).tolist() == [2.0, -8.0, -1.0, 0.0]
    assert (8 * lanes[1, 3, [0, 6, 13, 14]]).tolist() == [-14.0, -8.0, -1.0, 0.0]
    assert lanes[0, 5].tolist() == [0.0] * 14 + [1.0, 0.0]
    assert exists[0].tolist() == [1.0] * 16
    assert exists[1].tolist() == [1.0] * 15 + [0.0]


@pytest.mark.parametrize("factors", [(), (4, 11), (2, 2, 11)])
def test_one_action_alone_is_the_same_as_among_all(factors):
    torch.manual_seed(1)
    config = NetworkConfig(encoder="none", trunk=(16,), head=12, atoms=7, action_factors=factors)
    network = RainbowNetwork(config, 5, 44)
    features = network.features(torch.randn(30, 5))
    actions, weights = torch.randint(0, 44, (30,)), torch.randn(30, 7)
    whole = network.head(features)[torch.arange(30), actions]
    alone = network.head.of_action(features, actions)
    torch.testing.assert_close(whole, alone)
    parameters = [network.head.advantage_out.weight, network.head.advantage_out.bias, network.trunk[0].weight]
    expected = torch.autograd.grad((whole * weights).sum(), parameters, retain_graph=True)
    for one, two in zip(torch.autograd.grad((alone * weights).sum(), parameters), expected, strict=True):
        torch.testing.assert_close(one, two)


def test_factors_count_actions_with_the_last_fastest():
    config = NetworkConfig(encoder="none", trunk=(4,), head=4, atoms=3, action_factors=(4, 11))
    network = RainbowNetwork(config, 5, 44)
    with torch.no_grad():
        network.head.advantage_out.weight.zero_()
        network.head.advantage_out.bias.zero_()
        network.head.advantage_out.bias.view(15, 3)[4 + 6, 2] = 5.0
    logits = network(torch.zeros(1, 5)).detach()[0, :, 2]
    assert (logits > logits.mean()).nonzero().flatten().tolist() == [6, 17, 28, 39]


def test_advantages_have_mean_zero_over_the_actions():
    torch.manual_seed(2)
    for factors in ((), (4, 11)):
        config = NetworkConfig(encoder="none", trunk=(8,), head=8, atoms=5, action_factors=factors)
        network = RainbowNetwork(config, 3, 44)
        features = network.features(torch.randn(6, 3))
        torch.testing.assert_close(network.head(features).mean(1), network.head._value(features))


def test_tokens_are_cut_alike_by_kernel_and_stock_operations(monkeypatch):
    inputs = observations(50)
    inputs[:, LAYOUT["lane_angle"]] = torch.randint(0, 16, (50, 16)) / 15
    quick = lane_encoder.lane_and_enemy_values(inputs)
    monkeypatch.setattr(cpu_kernels, "usable", lambda _: False)
    for one, two in zip(quick, lane_encoder.lane_and_enemy_values(inputs), strict=True):
        torch.testing.assert_close(one, two, atol=1e-6, rtol=1e-6)


def test_kernels_equal_the_stock_operations(monkeypatch):
    torch.manual_seed(3)
    lanes, enemies = torch.randn(9, 8, 16), torch.randn(9, 7, 13)
    used = (torch.rand(9, 7) < 0.5).float()
    used[0] = 0.0
    roots = [0.3 * torch.randn(8, 8), 0.3 * torch.randn(13, 13)]
    spreads = [(root @ root.T + torch.eye(len(root))).requires_grad_() for root in roots]
    agreement = torch.randn(2, 9, 14, requires_grad=True)
    weight, bias = torch.randn(6, 3, 4, requires_grad=True), torch.randn(6, 3, requires_grad=True)
    rows, hidden = torch.randint(0, 6, (9,)), torch.randn(9, 4, requires_grad=True)
    learnt = [*spreads, agreement, weight, bias, hidden]
    results = []
    for kernels in (True, False):
        monkeypatch.setattr(cpu_kernels, "usable", lambda _, answer=kernels: answer)
        joint, weights = cpu_kernels.lane_codes(lanes, enemies, used, *spreads, agreement, 1e-5)
        selected = cpu_kernels.select_rows(weight, bias, rows, hidden)
        scale = torch.linspace(-1, 1, joint.numel()).reshape(joint.shape)
        total = (joint * scale).sum() + (selected**2).sum()
        results.append([joint, weights, selected, *torch.autograd.grad(total, learnt)])
    for one, two in zip(*results, strict=True):
        torch.testing.assert_close(one, two, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("factors", [(), (4, 11), (11, 4), (2, 2, 11)])
@pytest.mark.parametrize("scale", [0.1, 3.0, 60.0])
def test_expected_returns_equal_those_of_the_distributions(factors, scale):
    torch.manual_seed(5)
    config = NetworkConfig(encoder="none", trunk=(16,), head=12, action_factors=factors)
    network = RainbowNetwork(config, 5, 44)
    with torch.no_grad():
        network.head.advantage_out.weight.mul_(40 * scale)
        network.head.value_out.weight.mul_(40 * scale)
    inputs = torch.randn(20, 5)
    expected = network.head.mean(network(inputs)).detach()
    with torch.no_grad():
        quick = network.q_values(inputs)
    torch.testing.assert_close(quick, expected, atol=2e-2, rtol=1e-3)
    assert expected.std() > 0.01


def test_the_plain_network_is_the_same_function():
    torch.manual_seed(4)
    network = RainbowNetwork(NETWORK_PRESETS["original"], 195, 44)
    inputs = observations(16)
    inputs[3, LAYOUT["enemy_depth"]] = 0.0
    torch.testing.assert_close(PlainNetwork(network)(inputs), network(inputs), atol=1e-5, rtol=1e-4)
    with pytest.raises(ValueError, match="one advantage per action"):
        PlainNetwork(RainbowNetwork(NETWORK_PRESETS["fast"], 195, 44))


def test_other_observations_get_the_trunk_alone():
    network = RainbowNetwork(NETWORK_PRESETS["original"], 4, 2)
    assert network.encoder is None
    assert network.q_values(torch.zeros(3, 4)).shape == (3, 2)
    with pytest.raises(ValueError, match="no lane encoder"):
        network.attention(torch.zeros(1, 4))
    with pytest.raises(ValueError, match="no policy head"):
        network.policy_logits(torch.zeros(1, 384))


def test_expected_returns_lie_on_the_support():
    network = RainbowNetwork(dataclasses.replace(NETWORK_PRESETS["small"], value_min=-5, value_max=1), 4, 2)
    with torch.no_grad():
        network.head.value_out.bias[-1] = 50.0
    torch.testing.assert_close(network.q_values(torch.randn(7, 4)), torch.ones(7, 2))


@pytest.mark.parametrize(
    ("changes", "sizes", "words"),
    [
        ({"encoder": "lanes"}, (4, 2), "reads 195 values, the observations have 4"),
        ({"atoms": 1}, (4, 2), "at least 2 atoms"),
        ({"value_min": 3.0, "value_max": 3.0}, (4, 2), "value_min below"),
        ({"action_factors": (4, 10)}, (4, 44), "make 40 actions, there are 44"),
        ({"encoder_heads": 3}, (195, 44), "multiple"),
        ({}, (0, 2), "at least one value"),
    ],
)
def test_impossible_settings_are_refused(changes, sizes, words):
    with pytest.raises(ValueError, match=words):
        RainbowNetwork(NetworkConfig(**changes), *sizes)
