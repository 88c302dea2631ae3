"""The server for MAME clients: it shows those that are connected as one pool of environments."""

from tempest_gym.server.pool import DEFAULT_PORT, Arrivals, ClientPool

__all__ = ["DEFAULT_PORT", "Arrivals", "ClientPool"]
