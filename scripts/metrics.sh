#!/usr/bin/env bash
# Whether the metrics of a running gateway are what Prometheus expects: promtool finds no fault in
# their text. Used by scripts/with-gateway.sh; needs promtool (Debian: the package prometheus).

set -euo pipefail

: "${BARRAGE_ADMIN_URL:?set by scripts/with-gateway.sh}"
text=$(curl --silent --show-error --fail "$BARRAGE_ADMIN_URL/metrics")
promtool check metrics <<<"$text"

# It can only judge what is there: every metric of the source is, before anything has happened.
cd "$(dirname "${BASH_SOURCE[0]}")/.."
names=$(grep -oE '"barrage_[a-z_]+"' gateway/src/metrics.rs | tr -d '"' | sort -u)
(($(wc -l <<<"$names") > 20)) # or they are no longer found
for name in $names; do
    grep -q "^# TYPE $name " <<<"$text" || { echo "missing: $name" >&2; exit 1; }
done
