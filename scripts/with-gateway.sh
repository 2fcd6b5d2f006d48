#!/usr/bin/env bash
# Runs a command beside a gateway of its own, which listens on free ports of this machine.
#
#   scripts/with-gateway.sh COMMAND [ARGUMENT...]
#
# The command finds the gateway at
#   BARRAGE_URL        its pages, such as http://127.0.0.1:41001/
#   BARRAGE_WS_URL     its WebSocket
#   BARRAGE_ADMIN_URL  metrics, health and the server API (key `dev`)
#   BARRAGE_PID        its process
# BARRAGE_GATEWAY chooses another binary than the release build.
#
# The exit code is the command's, or 1 when the gateway did not start, ended too early, or
# did not end cleanly when it was told to. The gateway's log is shown in these cases.
set -euo pipefail

START_TENTHS=150 # a start takes milliseconds; 15 s is for a machine that is busy
DRAIN_TENTHS=300 # in development goodbyes are spread over 5 s, and stragglers have 10 s more

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
binary=${BARRAGE_GATEWAY:-${CARGO_TARGET_DIR:-$repository/target}/release/barrage-gateway}
scratch=$(mktemp -d)
log=$scratch/gateway.log
: >"$log"
gateway=

# shellcheck disable=SC2317  # the trap calls it
clean_up() {
    if [[ -n $gateway ]]; then
        kill -KILL "$gateway" 2>/dev/null || true
        wait "$gateway" 2>/dev/null || true
    fi
    rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
    echo "with-gateway: $1; its log ends with:" >&2
    tail -n 60 "$log" >&2
    exit 1
}

running() { kill -0 "$gateway" 2>/dev/null; }

# The address that the gateway told beside $1 in the line that says it has started.
told() { sed -n "s/.* started.* $1=\([0-9.:]*\).*/\1/p" "$log"; }

(($# > 0)) || { sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2; exit 2; }
[[ -x $binary ]] || { echo "with-gateway: there is no $binary; run \`make build\`" >&2; exit 1; }

NO_COLOR=1 BARRAGE_LOG=info "$binary" --dev \
    --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 >"$log" 2>&1 &
gateway=$!
for ((tenth = 0; tenth < START_TENTHS; tenth++)); do
    [[ -z $(told public) ]] || break
    running || fail "the gateway ended at once"
    sleep 0.1
done
public=$(told public)
admin=$(told admin)
[[ -n $public && -n $admin ]] || fail "the gateway did not say where it listens"

status=0
BARRAGE_URL="http://$public/" BARRAGE_WS_URL="ws://$public/ws" \
    BARRAGE_ADMIN_URL="http://$admin" BARRAGE_PID=$gateway "$@" || status=$?

running || fail "the gateway ended before it was told to"
kill -TERM "$gateway"
for ((tenth = 0; tenth < DRAIN_TENTHS; tenth++)); do
    running || break
    sleep 0.1
done
! running || fail "the gateway was still there $((DRAIN_TENTHS / 10)) s after SIGTERM"
ended=0
wait "$gateway" || ended=$?
gateway=
((ended == 0)) || fail "the gateway ended with code $ended"
exit "$status"
