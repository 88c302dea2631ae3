"""Collection: environments, exploration, statistics, and runners of a cluster."""
