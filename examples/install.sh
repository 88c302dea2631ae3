#!/usr/bin/env bash
# Installs this checkout into a virtual environment on Debian or Ubuntu.
#   bash examples/install.sh VENV EXTRAS [DEBIAN PACKAGE...]
# Without an NVIDIA card PyTorch comes as its CPU wheel, a tenth of the size.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$1 extras=$2
shift 2

missing=()
for package in python3-venv "$@"; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    root=()
    [ "$(id -u)" = 0 ] || root=(sudo)
    "${root[@]}" apt-get update -q
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}"
fi

[ -x "$venv/bin/python" ] || "${PYTHON:-python3}" -m venv "$venv"
quiet=(--quiet)
[ ! -t 2 ] || quiet=() # At a terminal pip shows what it downloads.
echo "Installing tempest-gym[$extras] into $venv ..." >&2
install=("$venv/bin/python" -m pip install --disable-pip-version-check --no-input "${quiet[@]}" -c tests/constraints.txt)
case ",$extras," in
*,rainbow,* | *,all,* | *,sb3,*)
    index=()
    command -v nvidia-smi >/dev/null || index=(--extra-index-url https://download.pytorch.org/whl/cpu)
    "${install[@]}" --retries 1 --no-deps "${index[@]}" torch
    ;;
esac
"${install[@]}" -e ".[$extras]"
