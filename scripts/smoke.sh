#!/usr/bin/env bash
# Looks at a running gateway from outside and replays the sample archive through it. Where the
# gateway is, `scripts/with-gateway.sh` says:
#
#   scripts/with-gateway.sh scripts/smoke.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

READY_TENTHS=100

get() { curl --fail --silent --show-error --max-time 5 "$@"; }

for ((tenth = 0; tenth < READY_TENTHS; tenth++)); do
    ! get "$BARRAGE_ADMIN_URL/readyz" >/dev/null 2>&1 || break
    sleep 0.1
done
get "$BARRAGE_ADMIN_URL/readyz" && echo
get "$BARRAGE_ADMIN_URL/healthz" && echo
get "$BARRAGE_ADMIN_URL/metrics" --output /dev/null
for page in "" "overlay" "assets/barrage.js"; do
    get "$BARRAGE_URL$page" --output /dev/null --write-out "/$page %{http_code} %{size_download} bytes\n"
done

"${CARGO_TARGET_DIR:-target}/release/barrage-loadtest" replay loadtest/samples/sample.xml \
    --speed 10 --viewers 3 --room smoke --url "$BARRAGE_WS_URL" --api "$BARRAGE_ADMIN_URL" --api-key dev \
    --lag-max-ms 5000 # whether it works, not how fast
