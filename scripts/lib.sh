# shellcheck shell=bash
# Shared by the scripts beside it; sourced, never run.

fail() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# as_root COMMAND...: runs it as root, through sudo when we are somebody else.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# missing_build_packages: the Debian packages that the build needs and this machine lacks. OpenSSL and SQLite are
# compiled from their sources, which takes a C compiler, make and a full Perl.
missing_build_packages() {
    command -v cc >/dev/null && [ -e /usr/include/stdlib.h ] || echo gcc libc6-dev
    command -v make >/dev/null || echo make
    perl -MFindBin -MIPC::Cmd -MTime::Piece -e 1 2>/dev/null || echo perl
    command -v curl >/dev/null || echo curl
}

# install_packages PACKAGE...
install_packages() {
    [ $# -gt 0 ] || return 0
    command -v apt-get >/dev/null || fail "please install: $*"
    echo "installing $*"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# build_server: builds the server and leaves its path in $server. PROFILE names the Cargo profile.
build_server() {
    local profile=${PROFILE:-dev}
    command -v cargo >/dev/null || fail "cargo is missing: install Rust with rustup"
    cargo build --locked --profile "$profile" -p identsphere-server
    [ "$profile" != dev ] || profile=debug
    # shellcheck disable=SC2034 # read by the callers
    server=${CARGO_TARGET_DIR:-target}/$profile/identsphere-server
}

# wait_until_ready BASE_URL PID: returns once the server takes requests; fails when it ends instead.
wait_until_ready() {
    until curl -fso /dev/null --max-time 2 "$1/readyz"; do
        kill -0 "$2" 2>/dev/null || return 1
        sleep 0.05
    done
}

# free_port: a port below the ephemeral range on which nobody listens.
free_port() {
    local port
    while port=$((20000 + RANDOM % 12000)) && (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
    echo "$port"
}
