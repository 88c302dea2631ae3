"""Makes the source and the collector of a run: environments here, clients that connect, or a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tempest_rainbow.collect.client_source import ClientSource
from tempest_rainbow.collect.cluster import ClusterCollector, Weights
from tempest_rainbow.collect.collector import Act, Collector, LocalCollector
from tempest_rainbow.collect.environments import make_source
from tempest_rainbow.collect.runner import RunnerPlan
from tempest_rainbow.collect.sources import Source
from tempest_rainbow.config.settings import TrainConfig
from tempest_rainbow.learner.learner import Learner
from tempest_rainbow.policy import network_card
from tempest_rainbow.replay.replay import Replay

__all__ = ["open_cluster", "open_collector", "open_source"]

_TRAINING_SEEDS = 2**30
"""Training games are seeded from here on, far from the evaluation's seeds."""

_SEEDS_PER_RUN = 10_000


def open_source(config: TrainConfig) -> Source:
    """Return the environments of a run in this process, or the pool of its clients."""
    if config.listen is not None:
        return ClientSource(
            config.listen,
            config.envs,
            config.task,
            legacy=config.listen_legacy,
            legacy_reply=config.listen_legacy_reply,
            token_file=config.listen_token_file,
        )
    seed = _TRAINING_SEEDS + _SEEDS_PER_RUN * config.seed
    return make_source(config.task, config.envs, seed, deterministic=config.deterministic)


def open_collector(
    config: TrainConfig,
    source: Source | None,
    act: Act,
    learner: Learner,
    replay: Replay,
    prior_weight: Callable[[], float],
) -> Collector:
    """Return what plays: here with the environments of ``source``, or on a Ray cluster where that is None.

    Args:
        config: of the run.
        source: as `open_source` returned it.
        act: chooses actions for environments here.
        learner: whose weights the runners of a cluster play with.
        replay: takes what was played.
        prior_weight: present share of the imitated policy.
    """
    if source is None:
        return open_cluster(config, learner, replay, prior_weight)
    return LocalCollector(
        source,
        act,
        replay,
        config.epsilon,
        config.expert,
        life_ends=config.life_ends,
        life_price=config.life_price,
        seed=config.seed,
    )


def open_cluster(
    config: TrainConfig,
    learner: Learner,
    replay: Replay,
    prior_weight: Callable[[], float],
) -> ClusterCollector:
    """Start the runners of a run that collects on a Ray cluster.

    Args:
        config: with ``ray`` set.
        learner: whose weights the runners play with.
        replay: rings for all their environments.
        prior_weight: present share of the imitated policy.
    """
    if config.ray is None:
        raise ValueError("the configuration names no Ray cluster")
    network = learner.network
    card = network_card(config.network, network.observation_size, network.action_count)
    task = replace(config.task, threads=config.env_threads or 1)

    def plan(index: int) -> RunnerPlan:
        seed = _TRAINING_SEEDS + _SEEDS_PER_RUN * config.seed + config.envs_per_runner * index
        return RunnerPlan(
            task=task,
            environments=config.envs_per_runner,
            seed=seed,
            card=card,
            epsilon=config.epsilon,
            expert=config.expert,
            life_ends=config.life_ends,
            life_price=config.life_price,
        )

    def weights() -> Weights:
        step, tensors = learner.published()
        return Weights(step, tensors, prior_weight())

    return ClusterCollector(
        config.cluster,
        config.ray,
        config.runners,
        plan,
        weights,
        lambda: learner.steps,
        replay,
    )
