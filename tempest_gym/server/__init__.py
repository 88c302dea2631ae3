"""The server for MAME clients, which presents those that are connected as one pool of environments."""

from tempest_gym.server.arrivals import Arrivals, Truncation
from tempest_gym.server.pool import DEFAULT_PORT, ClientPool

__all__ = ["DEFAULT_PORT", "Arrivals", "ClientPool", "Truncation"]
