#!/usr/bin/env bash
# Measures what docs/performance.md tells, and writes it.
#
#   scripts/bench.sh              every step, then the document
#   scripts/bench.sh STEP...      these steps only, then the document from all that was measured
#   scripts/bench.sh render       the document from what was measured before
#
# What is measured lies in target/bench/: a JSON and a log for every run, and runs.tsv with the
# command of each. The rows and their targets stand in scripts/performance.py. A step that fails
# is told in the document, and the exit code is 1. Other work on the machine moves absolute values;
# ratios are taken in turns and hold. Needs Rust, a C compiler and Python 3; with Node.js and npm
# there is one more comparison.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

STEPS=(build bare locks allocations codec bytes)
TOOL=target/release/barrage-loadtest
MINUTE=60

out=target/bench
failed=0
mkdir -p "$out"

# Runs a command for a step: its number of the run, seconds it may take, the command.
run() {
    local step=$1 number=$2 limit=$3 status=0 began=$SECONDS
    shift 3
    echo "== $step ($number): $*"
    cut -d' ' -f1 /proc/loadavg >"$out/$step.$number.load"
    timeout --kill-after=10 "$limit" "$@" >"$out/$step.$number.log" 2>&1 || status=$?
    ((status == 0)) || { failed=1; tail -n 20 "$out/$step.$number.log"; echo "failed: $status"; }
    printf '%s\t%s\t%s\t%s\t%s\n' "$step" "$number" "$status" "$((SECONDS - began))" "$*" >>"$out/runs.tsv"
}

forget() {
    rm -f "$out/$1".*.json "$out/$1".*.log "$out/$1".*.load
    touch "$out/runs.tsv"
    sed -i "/^$1\t/d" "$out/runs.tsv"
}

step_build() {
    run build 1 $((25 * MINUTE)) cargo build --release --locked -p gateway -p loadtest
}

# A whole gateway beside a bare send(2) loop: frames, CPU, memory.
step_bare() {
    run bare 1 $((6 * MINUTE)) "$TOOL" bare --json "$out/bare.1.json"
}

step_locks() {
    run locks 1 $((15 * MINUTE)) cargo test --locked -p gateway --test tidy knows
}

step_allocations() {
    run allocations 1 $((15 * MINUTE)) \
        cargo bench --locked -p gateway --features bench --bench allocations
    grep '^{' "$out/allocations.1.log" >"$out/allocations.1.json" || failed=1
}

# Making batches and reading commands: criterion keeps its figures in target/criterion.
step_codec() {
    run codec 1 $((10 * MINUTE)) cargo bench --locked -p protocol --bench codec -- --noplot
}

# What a viewer receives per second.
step_bytes() {
    run bytes 1 $MINUTE "$TOOL" bytes loadtest/samples/sample.xml --json "$out/bytes.1.json"
}

render() {
    python3 scripts/performance.py "$out" target/criterion >"$out/performance.md"
    cp "$out/performance.md" docs/performance.md
    echo "docs/performance.md is written"
}

chosen=("$@")
((${#chosen[@]} > 0)) || chosen=("${STEPS[@]}")
for step in "${chosen[@]}"; do
    [[ $step != render ]] || continue
    declare -F "step_$step" >/dev/null || { sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2; exit 2; }
    forget "$step"
    "step_$step"
done
render
exit "$failed"
