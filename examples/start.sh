#!/usr/bin/env bash
# Installs everything for a first hour on a fresh Debian or Ubuntu and trains an agent on Squall; further arguments go to
# `tempest-rainbow train`. Ctrl-C saves the training and ends it.
set -euo pipefail
cd "$(dirname "$0")/.."
bash examples/install.sh .venv rainbow,dashboard,human,video,onnx

next_steps() {
    cat >&2 <<TEXT

The environment is .venv; activate it and continue with any of these:
  source $PWD/.venv/bin/activate
  tempest-rainbow watch --policy bundled      # watch the agent that comes with the package, or a run's folder
  tempest-gym play                            # play yourself
TEXT
}
trap next_steps EXIT
trap : INT # The training saves and ends; then comes the text above.
.venv/bin/tempest-rainbow train "$@"
