#!/usr/bin/env bash
# Whether the metrics of a running gateway are what Prometheus expects: promtool finds no fault in
# their text. Used by scripts/with-gateway.sh; needs promtool (Debian: the package prometheus).

set -euo pipefail

: "${BARRAGE_ADMIN_URL:?set by scripts/with-gateway.sh}"
curl --silent --show-error --fail "$BARRAGE_ADMIN_URL/metrics" | promtool check metrics
