"""``python -m tempest_gym``: the command ``tempest-gym``."""

import sys

from tempest_gym.cli import main

sys.exit(main())
