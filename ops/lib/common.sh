# Shared by ops/quickstart and ops/test: where things are, how to say what happens. Sourced, never run.
# shellcheck shell=bash

set -euo pipefail

# shellcheck disable=SC2034 # used by those who source this
REPOSITORY=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
CACHE_DIR=${XDG_CACHE_HOME:-$HOME/.cache}/coffer
# Outside the clone, so that it survives it and is shared by all clones of this user.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$CACHE_DIR/target}
# Debian keeps mariadbd in /usr/sbin, which is not on an ordinary user's path.
export PATH=$HOME/.cargo/bin:$PATH:/usr/sbin:/sbin

# Milliseconds since the epoch.
now_ms() {
    local now_us=${EPOCHREALTIME/[.,]/}
    echo "${now_us%???}"
}

STARTED_MS=$(now_ms)

# Milliseconds as seconds with one decimal.
as_seconds() { printf '%d.%d' "$(($1 / 1000))" "$(($1 % 1000 / 100))"; }

# One line with the time since the program started.
say() { printf '[%7s s] %s\n' "$(as_seconds $(($(now_ms) - STARTED_MS)))" "$*"; }

die() {
    printf '%s\n' "$*" >&2
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif have sudo; then
        sudo "$@"
    else
        die "this needs root and there is no sudo: $*"
    fi
}

# Runs a command quietly; shows its whole output when it fails.
quietly() {
    local output status=0
    output=$("$@" 2>&1) || status=$?
    [ "$status" = 0 ] || printf '%s\n%s: exit status %d\n' "$output" "$1" "$status" >&2
    return "$status"
}
