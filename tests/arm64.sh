#!/usr/bin/env bash
# Runs the quick tests on an emulated ARM64 processor, as root on Debian or Ubuntu:  arm64.sh [PYTEST ARGUMENT...]
# Debian's arm64 packages and PyPI's aarch64 wheels run under qemu-user in a folder of their own (FOLDER, 2 GB).
# The first run takes about half an hour, mostly set-up.
set -euo pipefail
cd "$(dirname "$0")/.."
root=${FOLDER:-/var/tmp/tempest-arm64}
command -v qemu-aarch64-static debootstrap >/dev/null || apt-get install -y -q qemu-user-static debootstrap
formats=/proc/sys/fs/binfmt_misc
[ -e $formats/register ] || mount -t binfmt_misc none $formats
elf='\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
[ -e $formats/qemu-aarch64 ] || echo ":qemu-aarch64:M::$elf:$mask:$(command -v qemu-aarch64-static):OCPF" >$formats/register
if [ ! -e "$root/set-up" ]; then
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | sed -n 1p)
    debootstrap --arch=arm64 --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$root" "$mirror"
    touch "$root/set-up"
fi
mkdir -p "$root/project"
for folder in proc dev; do
    mountpoint -q "$root/$folder" || mount --bind "/$folder" "$root/$folder"
done
mountpoint -q "$root/project" || mount --bind "$PWD" "$root/project"
cp -aL /etc/resolv.conf "$root/etc/" 2>/dev/null || true
cp -a /etc/ssl/. "$root/etc/ssl/" 2>/dev/null || true
[ ! -e /etc/pip.conf ] || cp /etc/pip.conf "$root/etc/"
inside() { chroot "$root" /usr/bin/env -C /project PATH=/python/bin:/usr/bin:/bin TEMPEST_GYM_CACHE=/cache PYTHONPATH=/project PYTHONDONTWRITEBYTECODE=1 "$@"; }
[ -x "$root/python/bin/python" ] || inside python3 -m venv /python
inside python -m pip install -q hatchling pytest hypothesis pillow opencv-python-headless
# Wheels alone: nothing is to be compiled here. Stable-Baselines3's checker is one of the environment's tests.
inside python -m pip install -q --only-binary :all: "torch>=2.4" stable-baselines3 "numba<0.69" "llvmlite<0.51" lupa platformdirs \
    filelock pygame
inside python -m pip install -q --no-deps --no-build-isolation -e /project
[ $# -gt 0 ] || set -- tests/test_processors.py tests/test_board_translation.py tests/test_env.py tests/test_vector.py
inside python -c 'import platform; print(platform.machine(), platform.python_version())'
inside python -m pytest -q -p no:cacheprovider "$@"
