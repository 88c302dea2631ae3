#!/usr/bin/env bash
# Installs what the tests need on a fresh Debian or Ubuntu and runs them; further arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
bash examples/install.sh .test-env rainbow,sb3,human,test mame cc65 </dev/null
exec .test-env/bin/python -m pytest -n 2 "$@" </dev/null
