# Fetches what a test bed with Keystone runs on. Sourced after common.sh and install.sh.
# shellcheck shell=bash

KEYSTONE_BED=$REPOSITORY/ops/testbed/keystone

# Sets KEYSTONE_ENV to a virtual environment with Keystone, made once per content of its lists.
need_keystone() {
    local wanted=$KEYSTONE_BED/requirements.txt pinned=$KEYSTONE_BED/constraints.txt making
    need_packages python3:python3 ensurepip:python3-venv curl:curl jq:jq flock:util-linux
    KEYSTONE_ENV=$CACHE_DIR/keystone-$(cat "$wanted" "$pinned" <(python3 --version) | sha256sum | cut -c 1-12)
    [ ! -e "$KEYSTONE_ENV/complete" ] || return 0
    mkdir -p "$CACHE_DIR"
    # One at a time: an environment cannot be made elsewhere and moved.
    exec {making}>"$KEYSTONE_ENV.lock"
    flock "$making"
    if [ ! -e "$KEYSTONE_ENV/complete" ]; then
        say "installing Keystone from PyPI"
        rm -rf "$KEYSTONE_ENV"
        quietly python3 -m venv "$KEYSTONE_ENV"
        quietly "$KEYSTONE_ENV/bin/pip" install --quiet --disable-pip-version-check \
            --requirement "$wanted" --constraint "$pinned"
        touch "$KEYSTONE_ENV/complete"
    fi
    exec {making}>&-
}
