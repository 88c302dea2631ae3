#!/usr/bin/env bash
# Installs a newer Debian's MAME beside this system's, as root:  newer_mame.sh trixie|sid [FOLDER]
# Prints the path of a launcher for the variable MAME. Takes about two minutes and 1 GB; once installed, only prints.
set -euo pipefail
suite=${1:?trixie or sid}
root=${2:-/var/tmp/mame-$suite}
{
    command -v debootstrap >/dev/null || apt-get install -y -q debootstrap
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | sed -n 1p)
    [ -x "$root/usr/bin/apt-get" ] || debootstrap --variant=minbase "$suite" "$root" "$mirror"
    cp -a /etc/apt/apt.conf.d/. "$root/etc/apt/apt.conf.d/"
    cp -a /etc/ssl/. "$root/etc/ssl/" || true
    for folder in proc dev tmp; do
        mountpoint -q "$root/$folder" || mount --bind "/$folder" "$root/$folder"
    done
    if [ ! -x "$root/usr/games/mame" ]; then
        chroot "$root" apt-get update -q
        # A package's hook may fail in a chroot; what counts is that MAME runs.
        DEBIAN_FRONTEND=noninteractive chroot "$root" apt-get install -y -q --no-install-recommends mame || true
    fi
    chroot "$root" /usr/games/mame -version
} >&2
printf '#!/bin/sh\nexec chroot %s /usr/bin/env -C "$PWD" /usr/games/mame "$@"\n' "$root" >"$root.sh"
chmod +x "$root.sh"
echo "$root.sh"
