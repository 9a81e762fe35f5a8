# Where an installed Coffer is. Sourced after common.sh.
# shellcheck shell=bash
# shellcheck disable=SC2034 # used by those who source this

PROGRAM_DIR=/usr/local/bin
CONFIG=/etc/coffer/coffer.toml
UNIT=/etc/systemd/system/coffer.service

has_systemd() { [ -d /run/systemd/system ]; }

# As root for the host, as whoever calls for a --destdir.
as_owner() {
    if [ -n "${DESTDIR:-}" ]; then "$@"; else as_root "$@"; fi
}

# The state directory that a configuration names.
state_dir_of() {
    local directory
    directory=$(sed -n "s/^ *state_dir *= *[\"']\(.*\)[\"'] *\(#.*\)\{0,1\}$/\1/p" "$1" | head -n 1)
    [ -n "$directory" ] || die "$1 names no state_dir"
    printf '%s\n' "$directory"
}
