"""``python -m tempest_rainbow``: the command ``tempest-rainbow``."""

import sys

from tempest_rainbow.cli import main

sys.exit(main())
