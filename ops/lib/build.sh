# Builds the two programs and says how far it is. Sourced after common.sh and install.sh.
# shellcheck shell=bash

# Seconds between two lines about a build that nobody watches on a terminal: with news, and without.
PROGRESS_INTERVAL_S=15
WAITING_INTERVAL_S=60

# Passes cargo's output on, with its progress bar turned into a line now and then.
watch_build() {
    local line progress='' said='' said_ms=$STARTED_MS interval_s
    while true; do
        line=''
        IFS= read -r -t "$PROGRESS_INTERVAL_S" line || [ $? -gt 128 ] || break
        case $line in
            *Building*]*/*:*) progress=$(sed 's/.*\] *\([0-9]*\)\/\([0-9]*\): \(.*\)/\1 of \2 units done, now \3/; s/ *$//' <<<"$line") ;;
            error* | warning* | *Finished*) printf '%s\n' "$line" ;;
            ' '*Compiling* | ' '*Download* | ' '*Fetch* | '') ;;
            *) printf '%s\n' "$line" ;;
        esac
        interval_s=$PROGRESS_INTERVAL_S
        [ "$progress" != "$said" ] || interval_s=$WAITING_INTERVAL_S
        if [ -n "$progress" ] && [ $(($(now_ms) - said_ms)) -ge $((interval_s * 1000)) ]; then
            said_ms=$(now_ms)
            said=$progress
            say "  $progress"
        fi
    done
}

# Sets BIN_DIR to the directory of `coffer` and `coffer-agent`. COFFER_BIN_DIR names one where they already are.
need_programs() {
    if [ -n "${COFFER_BIN_DIR:-}" ]; then
        BIN_DIR=$COFFER_BIN_DIR
    else
        need_build_packages
        need_rust
        BIN_DIR=$CARGO_TARGET_DIR/debug
        say "building coffer and coffer-agent into $BIN_DIR (the first time this compiles RocksDB: 10 to 20 minutes)"
        # The whole workspace, as the tests do: for a part of it cargo picks other features, and compiles RocksDB again.
        local build=(cargo build --manifest-path "$REPOSITORY/Cargo.toml" --locked --workspace --bins)
        if [ -t 2 ]; then
            "${build[@]}"
        else
            CARGO_TERM_PROGRESS_WHEN=always CARGO_TERM_PROGRESS_WIDTH=120 "${build[@]}" 2>&1 |
                stdbuf --output=0 tr '\r' '\n' | watch_build
        fi
    fi
    [ -x "$BIN_DIR/coffer" ] && [ -x "$BIN_DIR/coffer-agent" ] || die "no coffer and coffer-agent in $BIN_DIR"
}
