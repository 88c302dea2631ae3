"""Players for evaluation, watching and export: a trained network, the environment's teacher, or random actions."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, fields
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from tempest_gym.actions import ACTION_COUNT, SPINNER_LEVELS
from tempest_rainbow.checkpoint import WEIGHTS, CheckpointError, Checkpoints, read_weights
from tempest_rainbow.config.settings import TEMPEST, NetworkConfig
from tempest_rainbow.device import choose_device
from tempest_rainbow.networks.rainbow import RainbowNetwork

__all__ = [
    "ExpertPolicy",
    "NetworkPolicy",
    "Policy",
    "RandomPolicy",
    "find_weights",
    "load_policy",
    "network_card",
    "random_actions",
    "trained_on",
    "weights_digest",
]


class Policy(Protocol):
    """Chooses actions for many environments at once."""

    name: str

    def act(self, observations: NDArray[np.float32], info: Mapping[str, Any]) -> NDArray[np.int64]:
        """Return actions int64 ``(k,)`` for observations float32 ``(k, size)`` and the ``info`` returned
        with them."""


class RandomPolicy:
    """Draws every action with equal probability, as ``action_space.sample`` does."""

    name = "random"

    def __init__(self, action_count: int, seed: int) -> None:
        """Draw one of ``action_count`` actions for each environment."""
        self._action_count = action_count
        self._generator = np.random.default_rng(seed)

    def act(self, observations: NDArray[np.float32], info: Mapping[str, Any]) -> NDArray[np.int64]:
        """Return random actions."""
        return self._generator.integers(self._action_count, size=len(observations))


class ExpertPolicy:
    """Plays as the environment's teacher advises."""

    name = "expert"

    def act(self, observations: NDArray[np.float32], info: Mapping[str, Any]) -> NDArray[np.int64]:
        """Return the advised actions.

        Raises:
            ValueError: the environment gives no ``expert_action``.
        """
        if "expert_action" not in info:
            raise ValueError("this environment has no teacher: its info carries no expert_action")
        return np.maximum(np.asarray(info["expert_action"], np.int64), 0)


class NetworkPolicy:
    """Acts greedily on a network's expected returns, guided by the policy it imitates.

    Attributes:
        block: rows of each forward pass of `act`; None: all that are given. Sums are rounded differently in batches
            of other sizes, so only equal blocks give equal actions whatever else is played beside a game.
    """

    def __init__(
        self, name: str, network: RainbowNetwork, card: Mapping[str, Any], device: str = "cpu"
    ) -> None:
        """Play with ``network``; ``card`` is the description stored with its weights."""
        self.name = name
        self.card = dict(card)
        self.block: int | None = None
        self.device = choose_device(device)
        self.network = network.to(self.device).eval()

    @torch.inference_mode()
    def values(self, observations: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return expected returns and preferences, each float32 ``(k, actions)``.

        Preferences are expected returns, plus the imitated policy's log-probabilities with the weight that the
        card names.
        """
        batch = torch.from_numpy(np.ascontiguousarray(observations, np.float32)).to(self.device)
        features = self.network.features(batch)
        q = self.network.head.q_of(features)
        preferences = self.network.preferences(features, q, float(self.card.get("prior_weight", 0.0)))
        return q.float().cpu().numpy(), preferences.float().cpu().numpy()

    def set_prior_weight(self, weight: float) -> None:
        """Let the imitated policy guide the choice with this weight from now on, instead of the card's.

        Raises:
            ValueError: the weight is negative or not finite, or the network imitates no policy.
        """
        if not 0.0 <= weight < float("inf"):
            raise ValueError(
                f"the weight of the imitated policy must be a number of 0 or more, got {weight:g}"
            )
        if weight > 0.0 and not self.network.config.policy_head:
            raise ValueError(f"{self.name} has no policy head, so no imitated policy can guide it")
        self.card["prior_weight"] = weight

    def act(self, observations: NDArray[np.float32], info: Mapping[str, Any]) -> NDArray[np.int64]:
        """Return the actions of greatest preference."""
        if self.block is None:
            return self.values(observations)[1].argmax(axis=1)
        count, block = len(observations), self.block
        padded = np.zeros((-(-count // block) * block, observations.shape[1]), np.float32)
        padded[:count] = observations
        parts = [self.values(padded[start : start + block])[1] for start in range(0, len(padded), block)]
        return np.concatenate(parts).argmax(axis=1)[:count]


def network_card(
    config: NetworkConfig, observation_size: int, action_count: int, **more: Any
) -> dict[str, Any]:
    """Return the description that makes stored weights usable: sizes, network settings, and ``more``."""
    return {
        "format": 1,
        "network": asdict(config),
        "observation_size": observation_size,
        "action_count": action_count,
        **more,
    }


def build_network(card: Mapping[str, Any]) -> RainbowNetwork:
    """Make the (untrained) network that a card describes."""
    known = {field.name for field in fields(NetworkConfig)}
    settings: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in card["network"].items()
        if name in known
    }
    return RainbowNetwork(NetworkConfig(**settings), int(card["observation_size"]), int(card["action_count"]))


def find_weights(path: Path) -> Path:
    """Return the weights file that ``path`` names: a run folder (its best checkpoint), a checkpoint,
    or the file itself.

    Raises:
        CheckpointError: neither was found.
    """
    if path.is_file():
        return path
    if (path / WEIGHTS).is_file():
        return path / WEIGHTS
    if (path / "checkpoints").is_dir():
        return Checkpoints(path / "checkpoints", keep=0).best() / WEIGHTS
    raise CheckpointError(f"{path} is neither a run folder nor a checkpoint nor a weights file")


def load_stored(name: str, device: str = "cpu") -> NetworkPolicy:
    """Return the policy ``bundled``, or the one stored at the path ``name``.

    Raises:
        CheckpointError: nothing usable is stored there.
        ValueError: the device is not available.
    """
    path = _stored_at(name)
    weights, card = read_weights(path)
    _check_card(path, card, weights)
    network = build_network(card)
    network.load_state_dict(weights)
    return NetworkPolicy(name, network, card, device)


def _stored_at(name: str) -> Path:
    if name == "bundled":
        return Path(str(files("tempest_rainbow") / "bundled" / WEIGHTS))
    return find_weights(Path(name).expanduser())


def trained_on(name: str) -> tuple[str | None, int]:
    """Return the Gymnasium id that a policy was trained on, or None if the card names none, and its frame skip.

    An id that would import a module is not returned unless it is Tempest's own: weights may be of unknown origin.

    Raises:
        CheckpointError: nothing usable is stored at the path ``name``.
    """
    if name in ("random", "expert"):
        return None, 1
    path = _stored_at(name)
    _, card = read_weights(path)
    env, frame_skip = card.get("env"), card.get("frame_skip", 1)
    if not isinstance(env, str) or (":" in env and env != TEMPEST):
        env = None
    if type(frame_skip) is not int or frame_skip < 1:
        raise CheckpointError(f"{path} names a frame skip of {frame_skip!r:.20}; expected 1 or more")
    return env, frame_skip


def _check_card(path: Path, card: Mapping[str, Any], weights: Mapping[str, torch.Tensor]) -> None:
    """Compare the network that a card describes with the weights, before memory is spent on it.

    Raises:
        CheckpointError: they do not belong together.
    """
    try:
        with torch.device("meta"):
            described = {name: value.shape for name, value in build_network(card).state_dict().items()}
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, ArithmeticError) as error:
        raise CheckpointError(f"{path} describes no network that can be built: {error!r}") from error
    if described != {name: value.shape for name, value in weights.items()}:
        raise CheckpointError(f"{path} describes another network than the one whose weights it holds")


def load_policy(
    name: str, action_count: int, seed: int, device: str = "cpu", observation_size: int | None = None
) -> Policy:
    """Return the policy called ``expert``, ``random`` or ``bundled``, or the one stored at the path ``name``.

    Args:
        name: of the policy.
        action_count: actions of the environment it will play in.
        seed: of ``random``.
        device: of a network.
        observation_size: values of the environment's observations, checked against a network's.

    Raises:
        CheckpointError: nothing usable is stored there.
        ValueError: the stored network has another number of actions or observed values, or the device is not there.
    """
    if name == "random":
        return RandomPolicy(action_count, seed)
    if name == "expert":
        return ExpertPolicy()
    policy = load_stored(name, device)
    if policy.card["action_count"] != action_count:
        raise ValueError(
            f"{name} plays with {policy.card['action_count']} actions, this environment has {action_count}"
        )
    if observation_size not in (None, policy.card["observation_size"]):
        raise ValueError(
            f"{name} observes {policy.card['observation_size']} values, this environment shows {observation_size}"
        )
    if policy.network.encoder is not None:
        policy.network.encoder.freeze()
    return policy


def weights_digest(policy: Policy) -> str | None:
    """Return a hash that two policies share only if their networks' weights are equal; None without a network."""
    if not isinstance(policy, NetworkPolicy):
        return None
    digest = hashlib.sha256()
    for name, value in policy.network.state_dict().items():
        digest.update(name.encode() + value.cpu().numpy().tobytes())
    return digest.hexdigest()


def random_actions(
    generator: np.random.Generator,
    count: int,
    action_count: int,
    fire_probability: float,
    zap_probability: float,
) -> NDArray[np.int64]:
    """Draw ``count`` random actions, int64 ``(count,)``.

    With Tempest's 44 actions fire, zap and spinner are drawn apart, because a superzapper is worth
    much more than one of 44 equal choices; otherwise all actions are equally likely.
    """
    if action_count != ACTION_COUNT:
        return generator.integers(action_count, size=count)
    spinners = len(SPINNER_LEVELS)
    fire = generator.random(count) < fire_probability
    zap = generator.random(count) < zap_probability
    return spinners * (2 * fire + 1 * zap) + generator.integers(spinners, size=count)
