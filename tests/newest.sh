#!/usr/bin/env bash
# Runs the quick tests with the newest version of every dependency, also beyond the bounds; arguments go to pytest.
exec bash "$(dirname "$0")/versions.sh" newest "$@"
