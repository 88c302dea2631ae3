"""A Rainbow trainer for Tempest and any other flat-observation Gymnasium environment."""
