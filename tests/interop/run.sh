#!/usr/bin/env bash
# The gateway with WebSocket implementations of others: Python websockets, Node ws, Chromium; and
# with Chromium where no WebSocket gets through.
#
#   tests/interop/run.sh              all of them
#   tests/interop/run.sh interop.py   these only
#
# Each runs beside a gateway of its own, on free ports, which is stopped by its process id
# (scripts/with-gateway.sh; BARRAGE_GATEWAY chooses another binary than the release build).
# Needs web/node_modules (`npm ci` in web/), Chromium, and Python; the packages of
# scripts/requirements.txt are installed into .venv if they are not there.
# The exit code is 0 when every client passed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

CLIENTS=(interop.py interop.mjs chromium.mjs fallback.mjs)
# Two seconds of chat fit into one batch: 80 messages.
export BARRAGE_TICK_MS=2000

lack() {
    echo "interop: $1" >&2
    exit 1
}

has_websockets() { .venv/bin/python -c 'import websockets' 2>/dev/null; }

get_python() {
    if ! has_websockets; then
        echo "interop: installing Python packages into .venv"
        python3 -m venv .venv || lack "Python 3 with venv is needed"
        .venv/bin/python -m pip install --quiet --requirement scripts/requirements.txt
        has_websockets || lack "scripts/requirements.txt could not be installed"
    fi
}

get_node_modules() {
    command -v node >/dev/null || lack "Node.js is needed"
    [[ -d web/node_modules/ws ]] || lack "run \`npm ci\` in web/ first"
}

run() {
    case $1 in
        *.py) get_python && scripts/with-gateway.sh .venv/bin/python "tests/interop/$1" ;;
        *.mjs) get_node_modules && scripts/with-gateway.sh node "tests/interop/$1" ;;
        *) lack "there is no client $1" ;;
    esac
}

failed=()
(($# > 0)) || set -- "${CLIENTS[@]}"
for client; do
    [[ -f tests/interop/$client ]] || lack "there is no client $client"
    echo "--- $client"
    run "$client" || failed+=("$client")
done
((${#failed[@]} == 0)) || lack "failed: ${failed[*]}"
echo "interop: all passed"
