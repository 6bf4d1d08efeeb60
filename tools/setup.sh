#!/bin/sh
# Brings .venv to what pyproject.toml and constraints.txt say. Does nothing when they are as at the last time.
set -eu
cd "$(dirname "$0")/.."
venv=.venv
ready=$venv/.ready

wanted() { cat pyproject.toml constraints.txt tools/setup.sh | cksum; }

# A name on the PATH proves little: version managers put shims there, and Debian's Python comes without ensurepip.
usable() { "$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    for candidate in ${PYTHON:-python3.13 python3.12 python3.11 python3 python}; do
        if usable "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    {
        echo "setup: no usable Python among: ${PYTHON:-python3.13 python3.12 python3.11 python3 python}."
        echo "Python 3.11 or newer with the modules venv and ensurepip is needed"
        echo "(Debian and Ubuntu: apt-get install python3-venv). Name one with: make PYTHON=/path/to/python"
    } >&2
    return 1
}

has_torch() {
    "$venv/bin/python" - "$1" 2>/dev/null <<'PYTHON'
import sys
from importlib.metadata import version
sys.exit(version("torch").partition("+")[0] != sys.argv[1])
PYTHON
}

# Without an NVIDIA GPU, Linux is spared gigabytes of CUDA. When the CPU index is out of reach, pip's own choice will do.
prefer_cpu_torch() {
    torch=$(sed -n 's/^torch==//p' constraints.txt)
    if [ "$(uname)" != Linux ] || command -v nvidia-smi >/dev/null 2>&1 || has_torch "$torch"; then
        return
    fi
    "$venv/bin/python" -m pip install --no-input --no-deps --timeout 8 --retries 0 \
        --index-url https://download.pytorch.org/whl/cpu "torch==$torch" ||
        echo "setup: no CPU build of torch $torch from its own index; taking what pip finds" >&2
}

names() { sed -n 's/^\([A-Za-z0-9._-]*\)==.*/\1/p' "$1"; }

# pip installs, but never takes away what is no longer asked for; a leftover pytest plugin, say, goes on working.
drop_leftovers() {
    if [ -f $venv/.constraints ]; then
        gone=$(names $venv/.constraints | grep -vxF "$(names constraints.txt)" || true)
        # shellcheck disable=SC2086  # one word per package
        [ -z "$gone" ] || $venv/bin/python -m pip uninstall --yes --quiet $gone
    fi
}

if [ -x $venv/bin/python ] && [ -f $ready ] && [ "$(cat $ready)" = "$(wanted)" ] && $venv/bin/python -c ''; then
    touch $ready
    exit
fi
if ! $venv/bin/python -m pip --version >/dev/null 2>&1; then
    python=$(find_python)
    echo "setup: making $venv with $("$python" --version)"
    "$python" -m venv --clear $venv
fi
rm -f $ready
drop_leftovers
prefer_cpu_torch
echo "setup: installing what pyproject.toml names; the first time takes some minutes"
$venv/bin/python -m pip install --no-input --quiet --constraint constraints.txt --editable '.[dev]'
cp constraints.txt $venv/.constraints
wanted >$ready
