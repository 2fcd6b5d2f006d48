#!/usr/bin/env bash
# Clients and rooms that come and go, for longer than the test of the same name: prints the
# gateway's resident memory after warm-up and at the end, and fails if it has grown by more than
# a tenth or if metric series have stayed.
#
#   scripts/churn.sh [CYCLES [ROOMS]]     200,000 cycles over 20,000 rooms, unless told otherwise

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export BARRAGE_CHURN_CYCLES=${1:-200000} BARRAGE_CHURN_ROOMS=${2:-20000}
cargo test --locked --package gateway --test it -- churn:: --nocapture
