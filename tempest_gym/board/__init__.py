"""The Tempest board in process."""
