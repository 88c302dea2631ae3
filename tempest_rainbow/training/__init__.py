"""A run: collecting, learning and evaluating side by side."""
