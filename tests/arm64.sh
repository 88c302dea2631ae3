#!/usr/bin/env bash
# Runs the quick tests on an emulated ARM64 processor, as root on Debian or Ubuntu:  arm64.sh [PYTEST ARGUMENT...]
# Debian's arm64 Python and PyPI's aarch64 wheels run under qemu-user in FOLDER (2 GB). Only the tests are emulated:
# packages and wheels are unpacked by this computer's own tools.
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
    debootstrap --foreign --arch=arm64 --variant=minbase --include=python3 bookworm "$root" "$mirror"
    for package in "$root"/var/cache/apt/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C "$root"
    done
    [ ! -L "$root/proc" ] || { rm "$root/proc" && mkdir "$root/proc"; }
    # Markers of dependencies mean this computer, so torch would bring CUDA for it: it is installed without its own.
    wheels=(python3 -m pip install -q --upgrade --target "$root/wheels" --python-version 3.11 --only-binary :all:)
    wheels+=(--platform manylinux_2_28_aarch64 --platform manylinux2014_aarch64)
    "${wheels[@]}" ".[human]" pytest hypothesis opencv-python-headless pandas matplotlib jinja2 sympy networkx fsspec
    "${wheels[@]}" --no-deps "torch==2.6.*" stable-baselines3
    touch "$root/set-up"
fi
mkdir -p "$root/project"
for folder in proc dev; do
    mountpoint -q "$root/$folder" || mount --bind "/$folder" "$root/$folder"
done
mountpoint -q "$root/project" || mount --bind "$PWD" "$root/project"
inside() {
    chroot "$root" /usr/bin/env -i -C /project HOME=/root PATH=/usr/bin:/bin TEMPEST_GYM_CACHE=/cache \
        PYTHONPATH=/project:/wheels PYTHONDONTWRITEBYTECODE=1 "$@"
}
[ $# -gt 0 ] || set -- tests/test_processors.py tests/test_board_translation.py tests/test_env.py tests/test_vector.py
inside python3 -c 'import platform; print(platform.machine(), platform.python_version())'
inside python3 -m pytest -q -p no:cacheprovider "$@"
