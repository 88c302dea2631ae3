#!/usr/bin/env bash
# Installs everything on a fresh Debian or Ubuntu and trains an agent on Squall; further arguments go to
# `tempest-rainbow train`.
set -euo pipefail
cd "$(dirname "$0")/.."
bash examples/install.sh .venv rainbow
exec .venv/bin/tempest-rainbow train "$@"
