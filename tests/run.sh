#!/usr/bin/env bash
# Installs what the tests need on a fresh Debian or Ubuntu and runs them; further arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
packages=(mame cc65 xvfb)
. /etc/os-release
[ "$ID" = ubuntu ] || packages+=(chromium) # Ubuntu's is a snap, which does not run everywhere.
bash examples/install.sh .test-env rainbow,dashboard,sb3,ray,human,video,onnx,test,minari "${packages[@]}" </dev/null
export PATH="$PWD/.test-env/bin:$PATH:/usr/games"
if ! command -v chromium chromium-browser google-chrome >/dev/null; then
    sudo=()
    [ "$(id -u)" = 0 ] || sudo=(sudo)
    "${sudo[@]}" .test-env/bin/playwright install-deps chromium </dev/null
    .test-env/bin/playwright install chromium </dev/null
    ln -sf "$(find ~/.cache/ms-playwright -name chrome -type f | head -n 1)" .test-env/bin/chromium
fi
exec .test-env/bin/python -m pytest -n 2 "$@" </dev/null
