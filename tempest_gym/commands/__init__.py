"""What stands behind the commands of ``tempest-gym``, a module each."""
