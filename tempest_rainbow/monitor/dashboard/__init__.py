"""The dashboard in a browser."""

from tempest_rainbow.config.settings import DashboardConfig
from tempest_rainbow.monitor.dashboard.client import Dashboard, DashboardError, available, read_token

__all__ = ["Dashboard", "DashboardConfig", "DashboardError", "available", "read_token"]
