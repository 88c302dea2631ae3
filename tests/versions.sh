#!/usr/bin/env bash
# Runs the quick tests with the oldest or the newest version of every dependency, in a virtual environment of its own.
#   bash tests/versions.sh oldest|newest [PYTEST ARGUMENT...]        PYTHON=python3.13 chooses the interpreter,
#   EXTRAS=test leaves the trainer out.
# "oldest" takes what pyproject.toml allows at least; "newest" what can be found, upper bounds of numba ignored.
# PyTorch is always its CPU build: without PyTorch's own index the release of constraints.txt, from PIP_FIND_LINKS.
set -euo pipefail
cd "$(dirname "$0")/.."
which=${1:?oldest or newest}
shift
python=${PYTHON:-python3}
name=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-$which
work=${TMPDIR:-/tmp}/tempest-versions-$(id -u)
mkdir -p "$work"
[ -x "$work/uv/bin/uv" ] || { "$python" -m venv "$work/uv" && "$work/uv/bin/python" -m pip install -q uv; }
export PATH="$work/uv/bin:$PATH" VIRTUAL_ENV="$work/$name"
export TEMPEST_GYM_CACHE="$work/$name/cache"
uv venv -q --clear --python "$python" "$VIRTUAL_ENV"
options=() overrides=()
case $which in
oldest) options+=(--resolution lowest-direct) ;;
newest) options+=(--upgrade) overrides+=(numba llvmlite) ;;
*)
    echo "versions.sh: oldest or newest expected, got $which" >&2
    exit 2
    ;;
esac
if "$python" -c 'import urllib.request as r; r.urlopen("https://download.pytorch.org/whl/cpu/", timeout=9)' 2>/dev/null; then
    options+=(--torch-backend cpu)
elif [ "$(uname)" = Linux ]; then
    overrides+=("$(grep '^torch==' tests/constraints.txt)+cpu")
    [ -z "${PIP_FIND_LINKS:-}" ] || options+=(--find-links "$PIP_FIND_LINKS")
fi
printf '%s\n' "${overrides[@]}" >"$work/$name.overrides"
extras=${EXTRAS:-rainbow,sb3,human,onnx,test}
uv pip install -q "${options[@]}" --override "$work/$name.overrides" -e ".[$extras]"
uv pip list 2>/dev/null | grep -E '^(gymnasium|llvmlite|lupa|numba|numpy|torch) '
if [ $# = 0 ]; then
    set -- tests/test_board_{cpu,native,translation}.py tests/test_{features,recording,render,roms,verify}.py
    [[ $extras != *rainbow* ]] || set -- "$@" tests/test_{env,vector,learner,network,checkpoint,evaluate}.py
fi
exec "$VIRTUAL_ENV/bin/python" -m pytest -q -p no:cacheprovider "$@"
