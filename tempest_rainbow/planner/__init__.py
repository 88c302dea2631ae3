"""Planning on forks of the game: rollouts of a policy that warn of a death, and a search for a way around it."""

from tempest_rainbow.planner.planner import Forks, Futures, Planner, PlannerConfig

__all__ = ["Forks", "Futures", "Planner", "PlannerConfig"]
