#!/usr/bin/env bash
# Measures what docs/performance.md tells, and writes it.
#
#   scripts/bench.sh              every step, then the document
#   scripts/bench.sh STEP...      these steps only, then the document from all that was measured
#   scripts/bench.sh render       the document from what was measured before
#
# What is measured lies in target/bench/: a JSON and a log for every run, and runs.tsv with the
# commit and the command of each. The rows and their targets stand in scripts/performance.py. A step that fails
# is told in the document, and the exit code is 1. Other work on the machine moves absolute values;
# ratios are taken in turns and hold. Needs Rust, a C compiler and Python 3; with Node.js and npm
# there is one more comparison, and with a nats-server the fabric on NATS is measured too.
# shellcheck disable=SC2317  # steps are called by their names
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

STEPS=(build bare peers memory storm idle acks large small nats across bytes allocations codec locks)
TOOL=target/release/barrage-loadtest
MINUTE=60

out=target/bench
failed=0
commit=$(git rev-parse --short=12 HEAD)
git diff --quiet HEAD || commit+=" with changes"
mkdir -p "$out"

# Runs a command for a step: its number of the run, seconds it may take, the command.
run() {
    local step=$1 number=$2 limit=$3 status=0 began=$SECONDS
    shift 3
    echo "== $step ($number): $(quoted "$@")"
    cut -d' ' -f1 /proc/loadavg >"$out/$step.$number.load"
    timeout --kill-after=10 "$limit" "$@" >"$out/$step.$number.log" 2>&1 || status=$?
    ((status == 0)) || { failed=1; tail -n 20 "$out/$step.$number.log"; echo "failed: $status"; }
    printf '%s\t%s\t%s\t%s\t%s\t%s\n' \
        "$step" "$number" "$status" "$((SECONDS - began))" "$commit" "$(quoted "$@")" \
        >>"$out/runs.tsv"
}

# A command as a shell takes it.
quoted() {
    local word words=()
    for word; do
        [[ $word =~ ^[A-Za-z0-9_./:=,+-]+$ ]] || word=${word@Q}
        words+=("$word")
    done
    echo "${words[*]}"
}

forget() {
    rm -f "$out/$1".*.json "$out/$1".*.log "$out/$1".*.load
    touch "$out/runs.tsv"
    sed -i "/^$1\t/d" "$out/runs.tsv"
}

step_build() {
    run build 1 $((25 * MINUTE)) cargo build --release --locked
}

# A whole gateway beside a bare send(2) loop: frames, CPU, memory.
step_bare() {
    run bare 1 $((6 * MINUTE)) "$TOOL" bare --json "$out/bare.1.json"
}

# The same beside npm's ws, where it is installed (`npm ci` in web/).
step_peers() {
    [[ -d web/node_modules/ws ]] || { echo "peers: not without web/node_modules/ws"; return 0; }
    run peers 1 $((6 * MINUTE)) "$TOOL" bare --repeat 3 --rounds 5 \
        --peer "ws=node scripts/peers/ws.mjs" --json "$out/peers.1.json"
}

# The same with as many connections as a process may have files, for the memory of each.
step_memory() {
    run memory 1 $((3 * MINUTE)) "$TOOL" bare --connections 19000 --sizes 200 --repeat 1 \
        --rounds 1 --json "$out/memory.1.json"
}

# Runs the load tester beside a gateway of its own, with ticks of so many milliseconds if $tick is
# set: the step, the number of the run, its arguments.
beside() {
    local step=$1 number=$2
    shift 2
    # shellcheck disable=SC2016  # with-gateway.sh sets what is to be expanded
    run "$step" "$number" $((4 * MINUTE)) ${tick:+env "BARRAGE_TICK_MS=$tick"} \
        scripts/with-gateway.sh sh -c \
        'exec "$0" "$@" --url "$BARRAGE_WS_URL" --api "$BARRAGE_ADMIN_URL"' \
        "$TOOL" "$@" --json "$out/$step.$number.json"
}

# Everybody connects at once, goes, and comes back: connections per second, upgrade and join. From
# two processes: one alone is busier than the gateway. All of them share the cores, so looks at the
# sockets come late; that makes these rates smaller, never larger.
step_storm() {
    local number
    for number in 1 2 3; do
        beside storm "$number" storm --viewers 10000 --chat 0 --waves fresh \
            --sockets-per-worker 5000 --lag-max-ms 500
    done
}

step_idle() {
    beside idle 1 viewers --viewers 10000 --chat 0 --heartbeat 25 --sweep-ms 0 --for 60
}

# Acks of those who speak in a room of which every quarter of a second takes frames of 16 KB.
step_acks() {
    tick=250 beside acks 1 \
        viewers --viewers 18900 --chat 40 --kind opaque --bytes 1500 --for 30
}

step_large() {
    beside large 1 viewers --viewers 10000 --chat 200 --for 30
}

# Small rooms and silent ones beside a large one.
step_small() {
    beside small 1 viewers --group big:1:5000:1000 --group small:100:10:1 --group silent:50:10:0 \
        --settle-s 7 --for 20
}

# The fabric on NATS, where a nats-server is at hand (`scripts/test.sh setup`): what it costs.
step_nats() {
    on_nats nats broker-bridge nats_budget
}

# The same: from a client of one gateway to a client of another.
step_across() {
    on_nats across gateway across
}

# Runs an example three times: its step, its package, its name.
on_nats() {
    local step=$1 package=$2 example=$3 number
    compgen -G 'target/tools/nats/*/bin/nats-server' >/dev/null || [[ -n ${BARRAGE_NATS_SERVERS-} ]] ||
        { echo "$step: not without a nats-server in target/tools (make setup)"; return 0; }
    run "$step" build $((15 * MINUTE)) \
        cargo build --release --locked -p "$package" --example "$example"
    for number in 1 2 3; do
        run "$step" "$number" $((4 * MINUTE)) "target/release/examples/$example"
        grep '^{' "$out/$step.$number.log" >"$out/$step.$number.json" || failed=1
    done
}

step_locks() {
    run locks 1 $((15 * MINUTE)) cargo test --locked -p gateway --test tidy every_floor
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
    run bytes 1 "$MINUTE" "$TOOL" bytes loadtest/samples/sample.xml --json "$out/bytes.1.json"
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
