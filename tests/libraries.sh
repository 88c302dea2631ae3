#!/usr/bin/env bash
# Tests the environment under torchrl, tianshou and RLlib, whose requirements exclude each other's or ours:
#   libraries.sh [PYTEST ARGUMENT...]
# They are installed into a virtual environment of their own (FOLDER, 2 GB), with the Gymnasium that RLlib pins.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${FOLDER:-/var/tmp/tempest-libraries}
[ -x "$venv/bin/python" ] || "${PYTHON:-python3}" -m venv "$venv"
index=()
command -v nvidia-smi >/dev/null || index=(--extra-index-url https://download.pytorch.org/whl/cpu)
"$venv/bin/python" -m pip install -q --retries 1 --no-deps "${index[@]}" torch
"$venv/bin/python" -m pip install -q -e . torchrl tianshou "ray[rllib]" pytest hypothesis
exec "$venv/bin/python" -m pytest -q -m libraries tests/test_libraries.py "$@"
