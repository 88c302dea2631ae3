"""The commands of ``tempest-gym``, one module each."""
