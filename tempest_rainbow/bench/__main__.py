import sys

from tempest_rainbow.bench.command import main

sys.exit(main())
