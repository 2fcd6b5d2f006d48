#!/usr/bin/env bash
# Clients and rooms that come and go, for longer than the tests of the same name, through the
# release binary: prints the gateway's memory over time, and fails if it has grown by more than a
# tenth since each room was visited once, or if metric series have stayed. Two runs: clients that
# only watch, and clients that speak.
#
#   scripts/churn.sh [CYCLES [ROOMS]]     200,000 cycles over 20,000 rooms, unless told otherwise

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo build --locked --release --bin barrage-gateway
export BARRAGE_CHURN_CYCLES=${1:-200000} BARRAGE_CHURN_ROOMS=${2:-20000}
export BARRAGE_CHURN_GATEWAY=$PWD/target/release/barrage-gateway
cargo test --locked --package gateway --test it -- churn:: --nocapture --test-threads 1
